// Owns what the tools that start and resume work share: how an invocation is bounded, and how its answer is told.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import type { WorkAnswer } from '../../pack/managed/surface.ts';
import { structuredResult } from '../results.ts';
import { closed, DECISION_VIEW, list, oneOf, OPEN, TEXT } from './schemas.ts';
import type { ToolCall, ToolResult } from './tool.ts';
import { TURN_OUTPUT } from './turn-shape.ts';

export const INVOCATION: {
  max_turns_per_invocation: z.ZodExactOptional<z.ZodInt>;
  background: z.ZodExactOptional<z.ZodBoolean>;
} = {
  max_turns_per_invocation: z
    .exactOptional(z.int().min(1).max(1000))
    .describe('Turns of this invocation; at its end the work is suspended, not failed.'),
  background: z.exactOptional(z.boolean()).describe('Answer at once; a worker carries the work out.'),
};

const COUNT: JsonObject = { type: 'integer', minimum: 0 };
const REQUESTED: JsonObject = closed({
  name: TEXT,
  input: OPEN,
  tool_call_id: TEXT,
  decision: DECISION_VIEW,
});
const OPTIONAL = {
  expires_at: TEXT,
  position: COUNT,
  final_turn: TURN_OUTPUT,
  last_turn: TURN_OUTPUT,
  pending_request_id: TEXT,
  requested_tool: REQUESTED,
  waiting: list(
    closed({ node_id: TEXT, pending_request_id: TEXT, requested_tool: REQUESTED }, [
      'node_id',
      'requested_tool',
    ]),
  ),
  answer_at: list(TEXT),
  node_id: TEXT,
  reason: TEXT,
  resume_token: TEXT,
  next_wake_at: TEXT,
  scheduled_node_ids: list(TEXT),
  completed_node_ids: list(TEXT),
  error: closed({ code: TEXT, message: TEXT }),
  goes_on: { type: 'boolean' } as JsonObject,
};

export const WORK_ANSWER: JsonObject = closed(
  {
    kind: oneOf(
      'queued',
      'in_progress',
      'completed',
      'approval_required',
      'suspended',
      'scheduled',
      'canceled',
      'expired',
      'error',
    ),
    session_id: TEXT,
    run_id: TEXT,
    status: TEXT,
    started_at: TEXT,
    updated_at: TEXT,
    turn_count: COUNT,
    tool_call_count: COUNT,
    ...OPTIONAL,
  },
  Object.keys(OPTIONAL),
);

function waitingSentence(answer: WorkAnswer): string {
  const { session_id: id, requested_tool: tool, pending_request_id: request, answer_at: places } = answer;
  const where = places === undefined ? '' : ` at ${places.join(', or ')}`;
  return `${tool?.name ?? 'A call'} has not run: a person has to answer ${request ?? 'it'}${where}. Then resume ${id}.`;
}

const SENTENCES: Record<WorkAnswer['kind'], (answer: WorkAnswer) => string> = {
  queued: ({ session_id: id, position = 0 }) => `${id} is queued; ${position} before it.`,
  in_progress: ({ session_id: id }) => `${id} is under way.`,
  completed: ({ session_id: id, final_turn: turn }) => turn?.assistant_message ?? `${id} is complete.`,
  approval_required: waitingSentence,
  suspended: ({ session_id: id, reason = '' }) =>
    `${id} is suspended: ${reason} Resume it with its session_id.`,
  scheduled: ({ session_id: id, next_wake_at: at = 'its wake time' }) => `${id} waits until ${at}.`,
  canceled: ({ session_id: id, reason = '' }) => `${id} is canceled: ${reason}`,
  expired: ({ session_id: id, reason = '' }) => `${id} is expired: ${reason}`,
  error: ({ session_id: id, error }) =>
    `${id} failed: ${error === undefined ? 'INTERNAL' : `${error.code}: ${error.message}`}`,
};

/** One sentence a person or a model can act on. */
export function workSentence(answer: WorkAnswer): string {
  return SENTENCES[answer.kind](answer);
}

export function workAnswerResult(answer: WorkAnswer): ReturnType<typeof structuredResult> {
  const result = structuredResult(answer, workSentence(answer));
  return answer.kind === 'error' ? { ...result, isError: true } : result;
}

/**
 * Runs work and tells how far it came; for a client that takes tasks, in the background and as one. What a worker cannot
 * be given (`here`) and what is asked to be done at once is done here.
 */
export async function workResult<I extends { background?: boolean }>(
  asked: I,
  { task }: ToolCall,
  { run, here = false }: { run: (how: I) => Promise<WorkAnswer>; here?: boolean },
): Promise<ToolResult> {
  if (task === undefined || here || asked.background === false) return workAnswerResult(await run(asked));
  return task(await run({ ...asked, background: true }));
}
