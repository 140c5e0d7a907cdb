// Owns the tool `agent:cancel`: ends a session or workflow of the caller's in every state that is not an end.
import { z } from 'zod';
import type { CancelInput } from '../../pack/managed/surface.ts';
import { structuredResult } from '../results.ts';
import { closed, orError, TEXT } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';

const input: z.ZodType<CancelInput> = z.strictObject({
  session_id: z.string().min(1),
  reason: z.exactOptional(z.string().max(500)),
});

export const cancel: AgentTool = agentTool({
  id: 'agent:cancel',
  sets: ['turn', 'operate'],
  audience: 'everybody',
  title: 'Cancel a session or workflow',
  description:
    'Ends a session or workflow: queued work is not started, open approvals are revoked, wake times do not fire. ' +
    'An effect that has begun is not undone.',
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: false },
  input,
  output: orError(closed({ session_id: TEXT, status: TEXT })),
  async run(asked, { runtime, caller }) {
    const answer = await runtime.cancel(caller, asked);
    return structuredResult(answer, `${answer.session_id} is ${answer.status}.`);
  },
});
