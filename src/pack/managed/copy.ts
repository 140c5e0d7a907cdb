// Owns the readable copy of a managed session: one document in the contract's own words, for a person with an editor. It
// is made from the journal after an invocation has ended and is never read back, so a changed copy changes nothing.
import { isoTime } from '../../base/clock.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { KernelPort } from '../kernel-port.ts';
import type { ManagedProgress, ManagedResult } from './contract.ts';
import type { Transcript } from './transcript.ts';

/** Where copies are put; met by the document store. */
export interface SessionCopies {
  /** Replaces the copy of this session as a whole; what somebody wrote into it is not looked at. */
  write(sessionId: string, document: JsonObject): Promise<void>;
}

/** The newest of each list; a copy is for reading, and its size does not grow with the session. */
const KEPT = 200;
const NOTE =
  'Written from the journal for people to read. It is never read back: a change made here is overwritten and has no effect.';

export interface CopyParts {
  progress: ManagedProgress;
  result: ManagedResult | undefined;
  transcript: Transcript;
}

function waitingFor(result: ManagedResult | undefined): JsonObject {
  if (result === undefined) return {};
  const last =
    'last_turn' in result ? result.last_turn : 'final_turn' in result ? result.final_turn : undefined;
  return {
    ...(result.kind === 'approval_required'
      ? {
          pending_request_id: result.pending_request_id,
          requested_tool: result.requested_tool as unknown as JsonValue,
        }
      : {}),
    ...(last === undefined ? {} : { last_turn: last as unknown as JsonValue }),
  };
}

/** The copy, redacted like evidence. */
export function copyDocument(kernel: KernelPort, parts: CopyParts): JsonObject {
  const { progress, result, transcript } = parts;
  const { continuations, createdAt, input } = transcript;
  const { messages, history } = progress;
  const newest = (list: readonly unknown[]): JsonValue => list.slice(-KEPT) as JsonValue;
  const leftOut = (list: readonly unknown[]): number => Math.max(0, list.length - KEPT);
  const document = {
    schema_version: 1,
    note: NOTE,
    session_id: progress.session_id,
    run_id: progress.run_id,
    status: progress.status,
    created_at: isoTime(createdAt),
    updated_at: continuations.at(-1)?.timestamp ?? isoTime(createdAt),
    execute_turn_input: (input ?? {}) as unknown as JsonValue,
    messages: newest(messages),
    history: newest(history),
    turn_count: progress.turn_count,
    tool_call_count: progress.tool_call_count,
    continuations: newest(continuations),
    left_out: {
      messages: leftOut(messages),
      history: leftOut(history),
      continuations: leftOut(continuations),
    },
    ...waitingFor(result),
  };
  return kernel.redact(JSON.parse(JSON.stringify(document)) as JsonObject).value;
}
