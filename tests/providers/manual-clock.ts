// A clock that never waits: the deadline passes when the test says so, and shorter waits are noted and, unless they are
// held, end at once with the time moved on.
import type { Clock } from '../../src/base/clock.ts';

export interface ManualClock extends Clock {
  /** Every wait but the deadline's, in order. */
  waits: number[];
  /** Timers that have neither fired nor been canceled. */
  pending: () => number;
  /** Ends the call's deadline. */
  expire: () => void;
  /** Resolves when the first wait has begun; waits are then held until the end of time. */
  holdWaits: () => Promise<void>;
}

export function createManualClock(deadlineMs: number, start: number = Date.UTC(2026, 10, 21)): ManualClock {
  const open = new Set<object>();
  const waits: number[] = [];
  let time = 0;
  let expire = (): void => undefined;
  let begun: (() => void) | undefined;
  return {
    now: () => start + time,
    monotonic: () => time,
    after(ms, fire) {
      const timer = {};
      open.add(timer);
      const end = (): void => {
        if (!open.delete(timer)) return;
        time += ms;
        fire();
      };
      if (ms >= deadlineMs) {
        expire = end;
      } else {
        waits.push(ms);
        if (begun === undefined) setImmediate(end);
        else begun();
      }
      return () => {
        open.delete(timer);
      };
    },
    waits,
    pending: () => open.size,
    expire: () => {
      expire();
    },
    holdWaits: () =>
      new Promise((resolve) => {
        begun = resolve;
      }),
  };
}
