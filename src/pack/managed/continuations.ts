// Owns the log of continuations as a view: which record of a session's chain is told as which kind of continuation.
import { isoTime } from '../../base/clock.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { objectAt, textAt } from '../records.ts';
import type { Continuation, ContinuationKind } from './contract.ts';
import { endingOf } from './managed-events.ts';

interface Told {
  type: string;
  evidence: JsonObject;
  at: EpochMs;
  /** The workflow's node that the session belongs to, as its first entry names it. */
  node: string | undefined;
}

function startedKind(reason: string): ContinuationKind | undefined {
  switch (reason) {
    case 'created': // told by the record that admitted it
      return undefined;
    case 'wakeup':
      return 'wakeup';
    default:
      return 'resumed';
  }
}

const STARTED: Partial<Record<ContinuationKind, string>> = { wakeup: 'Scheduled wake time reached.' };

const ENDED: Readonly<Record<string, ContinuationKind>> = {
  suspended: 'suspended',
  waiting_approval: 'approval_required',
  completed: 'completed',
  error: 'error',
};

function kindOf({ type, evidence }: Told): ContinuationKind | undefined {
  switch (type) {
    case 'session_admitted':
      return 'created';
    case 'invocation_started':
      return startedKind(textAt(evidence, 'reason') ?? '');
    case 'invocation_ended':
      return ENDED[textAt(evidence, 'outcome') ?? ''];
    case 'session_canceled':
      return 'canceled';
    case 'session_expired':
      return 'expired';
    default:
      return undefined;
  }
}

/** The entry that a record adds to the log, without its number; undefined: none. */
export function continuationOf(told: Told): Omit<Continuation, 'sequence'> | undefined {
  const kind = kindOf(told);
  if (kind === undefined) return undefined;
  const { type, evidence, at } = told;
  const reason = type === 'invocation_started' ? STARTED[kind] : textAt(evidence, 'reason');
  const ending = type === 'invocation_ended' ? endingOf(evidence) : undefined;
  const node = told.node ?? textAt(objectAt(evidence, 'parent'), 'node_id');
  return {
    kind,
    timestamp: isoTime(at),
    ...(reason === undefined ? {} : { reason }),
    ...(ending?.as === 'waiting_approval' ? { request_id: ending.requestId } : {}),
    ...(node === undefined ? {} : { node_id: node }),
  };
}
