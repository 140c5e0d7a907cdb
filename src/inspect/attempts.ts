// Owns how the tries of a call look to a reader. A call that succeeded at once has no list in its record: the record itself
// says when its one try began and ended. Pure.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';

function timed(made: JsonObject): JsonObject {
  const { started_at: from, ended_at: to, ...rest } = made;
  return {
    ...rest,
    ...(typeof from === 'number' ? { started_at: isoTime(from) } : {}),
    ...(typeof to === 'number' ? { ended_at: isoTime(to) } : {}),
  };
}

function attemptView(made: JsonValue): JsonValue {
  return isObject(made) ? timed(made) : made;
}

/** Of the evidence of `call_finished`, recorded at `at`; undefined where nothing was tried, or nobody knows. */
export function attemptsView(evidence: JsonObject, at: EpochMs): JsonValue[] | undefined {
  const { attempts, outcome, start_receipt_id: start, duration_ms: took } = evidence;
  if (Array.isArray(attempts)) return attempts.map(attemptView);
  if (outcome !== 'success' || typeof start !== 'string' || typeof took !== 'number') return undefined;
  const only = { attempt: 1, outcome, backoff_ms: 0, started_at: at - Math.round(took), ended_at: at };
  return [timed(only)];
}
