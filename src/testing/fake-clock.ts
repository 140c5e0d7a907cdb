// Owns a clock that tests move by hand. Time stands still until `advance`; timers fire in order of their due time.
import type { Clock } from '../base/clock.ts';

/** A clock that stands still until it is moved. */
export interface FakeClock extends Clock {
  /** Moves time on by `ms` and fires what falls due, in order. */
  advance(ms: number): void;
  /** Sets the wall clock only, as a person or NTP would; monotonic time and timers are not moved. */
  setWall(at: number): void;
  /** How many timers wait. */
  readonly pending: number;
}

interface Waiting {
  due: number;
  order: number;
  fire: () => void;
}

/** A fake clock that starts at `start` (default 2026-01-01T00:00:00Z). */
export function createFakeClock(start: number = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0;
  let offset = start;
  let order = 0;
  const waiting = new Set<Waiting>();

  const nextDue = (until: number): Waiting | undefined => {
    let first: Waiting | undefined;
    for (const timer of waiting) {
      if (timer.due > until) continue;
      const isEarlier =
        first === undefined ||
        timer.due < first.due ||
        (timer.due === first.due && timer.order < first.order);
      if (isEarlier) first = timer;
    }
    return first;
  };

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    after(ms, fire) {
      const timer: Waiting = { due: elapsed + ms, order: order++, fire };
      waiting.add(timer);
      return () => {
        waiting.delete(timer);
      };
    },
    advance(ms) {
      const until = elapsed + ms;
      for (let timer = nextDue(until); timer !== undefined; timer = nextDue(until)) {
        waiting.delete(timer);
        elapsed = Math.max(elapsed, timer.due);
        timer.fire();
      }
      elapsed = until;
    },
    setWall(at) {
      offset = at - elapsed;
    },
    get pending() {
      return waiting.size;
    },
  };
}
