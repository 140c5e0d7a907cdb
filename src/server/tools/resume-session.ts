// Owns the tool `agent:resume-session`.
import { z } from 'zod';
import type { ResumeSessionInput } from '../../pack/managed/surface.ts';
import { orError } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';
import { TURN_MESSAGE } from './turn-shape.ts';
import { INVOCATION, WORK_ANSWER, workResult } from './work.ts';

const word = z.string().min(1);

const input: z.ZodType<ResumeSessionInput> = z.strictObject({
  session_id: word,
  continuation_messages: z.exactOptional(z.array(TURN_MESSAGE)),
  accept_unknown: z
    .exactOptional(z.array(word).max(64))
    .describe(
      'Calls with unknown effect that you have looked into; the model is told that they are unknown.',
    ),
  resume_token: z
    .exactOptional(word)
    .describe('Of a call of this session that lost its connection or waits for an input; good once.'),
  ...INVOCATION,
});

export const resumeSession: AgentTool = agentTool({
  id: 'agent:resume-session',
  sets: ['turn'],
  audience: 'everybody',
  title: 'Resume a governed session',
  description:
    'Goes on where the session stands, from any process: an approved call runs exactly once, a rejected one is told to the model.',
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  input,
  output: orError(WORK_ANSWER),
  async run(asked, call) {
    const { continuation_messages: messages, accept_unknown: accepted, resume_token: token } = asked;
    const here = [messages, accepted, token].some((one) => one !== undefined);
    const run = (how: typeof asked) => call.runtime.resumeSession(call.caller, how, call.io);
    return workResult(asked, call, { run, here });
  },
});
