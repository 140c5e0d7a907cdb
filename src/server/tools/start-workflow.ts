// Owns the tool `agent:start-workflow`.
import { z } from 'zod';
import type { StartWorkflowInput } from '../../pack/managed/surface.ts';
import { jsonObject, orError } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';
import { INVOCATION, WORK_ANSWER, workResult } from './work.ts';

const word = z.string().min(1);

const input: z.ZodType<StartWorkflowInput> = z.strictObject({
  workflow: jsonObject.describe(
    'nodes: [{id, execute_turn_input, depends_on?, wake_at?, when?, inputs?, …}].',
  ),
  session_id: z.exactOptional(word).describe('Absent: a new one is made and returned.'),
  ...INVOCATION,
});

export const startWorkflow: AgentTool = agentTool({
  id: 'agent:start-workflow',
  sets: ['turn'],
  audience: 'everybody',
  title: 'Start a governed workflow',
  description:
    'Runs a graph of governed sessions with branches, joins, conditions and wake times. All problems of the definition are told at once, and then nothing is started.',
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  input,
  output: orError(WORK_ANSWER),
  async run(asked, call) {
    return workResult(asked, call, { run: (how) => call.runtime.startWorkflow(call.caller, how, call.io) });
  },
});
