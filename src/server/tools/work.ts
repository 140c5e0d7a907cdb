// Owns what the tools that start and resume work share: how an invocation is bounded, and how its answer is told.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import type { WorkAnswer } from '../../pack/managed/surface.ts';
import { structuredResult } from '../results.ts';
import { closed, DECISION_VIEW, list, oneOf, OPEN, TEXT } from './schemas.ts';
import type { ToolCall, ToolResult } from './tool.ts';
import { TURN_OUTPUT } from './turn-shape.ts';

export const INVOCATION = {
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
  waiting: list(closed({ node_id: TEXT, pending_request_id: TEXT, requested_tool: REQUESTED }, ['node_id'])),
  answer_at: list(TEXT),
  node_id: TEXT,
  reason: TEXT,
  next_wake_at: TEXT,
  scheduled_node_ids: list(TEXT),
  completed_node_ids: list(TEXT),
  error: closed({ code: TEXT, message: TEXT }),
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

/** One sentence a person or a model can act on. */
export function workSentence(answer: WorkAnswer): string {
  const { kind, session_id: id } = answer;
  switch (kind) {
    case 'queued':
      return `${id} is queued; ${answer.position ?? 0} before it. Look with agent:inspect, kind session.`;
    case 'in_progress':
      return `${id} is under way.`;
    case 'completed':
      return answer.final_turn?.assistant_message ?? `${id} is complete.`;
    case 'approval_required':
      return waitingSentence(answer);
    case 'suspended':
      return `${id} is suspended: ${answer.reason ?? ''} Resume it with its session_id.`;
    case 'scheduled':
      return `${id} waits until ${answer.next_wake_at ?? 'its wake time'}.`;
    case 'canceled':
    case 'expired':
      return `${id} is ${kind}: ${answer.reason ?? ''}`;
    case 'error':
      return `${id} failed: ${answer.error?.code ?? 'INTERNAL'}: ${answer.error?.message ?? ''}`;
  }
}

export function workAnswerResult(answer: WorkAnswer): ReturnType<typeof structuredResult> {
  const result = structuredResult(answer, workSentence(answer));
  return answer.kind === 'error' ? { ...result, isError: true } : result;
}

/** Runs work and tells how far it came; for a client that takes tasks, in the background and as one. */
export async function workResult<I extends { background?: boolean }>(
  asked: I,
  { task }: ToolCall,
  run: (how: I) => Promise<WorkAnswer>,
): Promise<ToolResult> {
  if (task !== undefined) return task(await run({ ...asked, background: true }));
  return workAnswerResult(await run(asked));
}
