// Owns the tool `agent:start-session`.
import { z } from 'zod';
import type { StartSessionInput } from '../../pack/managed/surface.ts';
import { orError } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';
import { TURN_INPUT } from './turn-shape.ts';
import { INVOCATION, WORK_ANSWER, workResult } from './work.ts';

const word = z.string().min(1);

const input: z.ZodType<StartSessionInput> = z.strictObject({
  execute_turn_input: TURN_INPUT,
  expires_at: z.exactOptional(word).describe('ISO 8601 with zone; after it the session does not go on.'),
  ...INVOCATION,
});

export const startSession: AgentTool = agentTool({
  id: 'agent:start-session',
  sets: ['turn'],
  audience: 'everybody',
  title: 'Start a governed session',
  description:
    'Runs the model and the tools it asks for, under policy, until the session is complete, waits for a person, or its turns are used up; every step is durable. With background: true a worker carries it out; look with agent:inspect.',
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  input,
  output: orError(WORK_ANSWER),
  async run(asked, call) {
    return workResult(asked, call, { run: (how) => call.runtime.startSession(call.caller, how, call.io) });
  },
});
