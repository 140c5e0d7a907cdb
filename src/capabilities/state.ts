// Owns the states of one downstream connection and what moves it between them. Pure; the clock's value comes in.
//
//   idle → starting → ready → failed → starting …        ready → idle (released)        any → closed
//
// B1: the n-th failure in a row is answered with a growing wait, the first with none; from BREAKER_FAILURES on the
//     breaker is open for BREAKER_MS. A connection that stayed up for STABLE_MS starts counting anew.

export type ConnectionState =
  | { state: 'idle'; failures: number }
  | { state: 'starting'; failures: number }
  | { state: 'ready'; failures: number; since: number }
  | { state: 'failed'; failures: number; until: number; reason: string }
  | { state: 'closed' };

export type ConnectionEvent =
  | { event: 'start' }
  | { event: 'started'; at: number }
  | { event: 'broke'; at: number; reason: string }
  | { event: 'released' }
  | { event: 'close' };

export const BREAKER_FAILURES = 5;
export const BREAKER_MS = 30_000;
export const STABLE_MS = 60_000;
const BACKOFF_BASE_MS = 250;

/** How long no start is tried after the n-th failure in a row (B1). */
export function waitAfter(failures: number): number {
  if (failures <= 1) return 0;
  return failures >= BREAKER_FAILURES ? BREAKER_MS : BACKOFF_BASE_MS * 2 ** (failures - 2);
}

function broken(
  state: Exclude<ConnectionState, { state: 'closed' }>,
  at: number,
  reason: string,
): ConnectionState {
  const isStable = state.state === 'ready' && at - state.since >= STABLE_MS;
  const failures = isStable ? 1 : state.failures + 1;
  return { state: 'failed', failures, until: at + waitAfter(failures), reason };
}

/** The next state; an event that means nothing in a state leaves it as it is. */
export function transition(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  if (state.state === 'closed') return state;
  switch (event.event) {
    case 'start':
      return state.state === 'idle' || state.state === 'failed'
        ? { state: 'starting', failures: state.failures }
        : state;
    case 'started':
      return state.state === 'starting'
        ? { state: 'ready', failures: state.failures, since: event.at }
        : state;
    case 'broke':
      return state.state === 'starting' || state.state === 'ready'
        ? broken(state, event.at, event.reason)
        : state;
    case 'released':
      return state.state === 'ready' ? { state: 'idle', failures: state.failures } : state;
    case 'close':
      return { state: 'closed' };
  }
}
