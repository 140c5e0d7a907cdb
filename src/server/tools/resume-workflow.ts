// Owns the tool `agent:resume-workflow`.
import { z } from 'zod';
import type { ResumeWorkflowInput } from '../../pack/managed/surface.ts';
import { orError } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';
import { TURN_MESSAGE } from './turn-shape.ts';
import { INVOCATION, WORK_ANSWER, workResult } from './work.ts';

const word = z.string().min(1);

const input: z.ZodType<ResumeWorkflowInput> = z.strictObject({
  session_id: word,
  continuation_messages_by_node_id: z.exactOptional(z.record(word, z.array(TURN_MESSAGE))),
  ...INVOCATION,
});

export const resumeWorkflow: AgentTool = agentTool({
  id: 'agent:resume-workflow',
  sets: ['turn'],
  audience: 'everybody',
  title: 'Resume a governed workflow',
  description:
    'Goes on with every node that can: approved calls run once, due wake times fire, suspended nodes take new turns.',
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  input,
  output: orError(WORK_ANSWER),
  async run(asked, call) {
    const here = asked.continuation_messages_by_node_id !== undefined;
    const run = (how: typeof asked) => call.runtime.resumeWorkflow(call.caller, how, call.io);
    return workResult(asked, call, { run, here });
  },
});
