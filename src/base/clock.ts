// Owns the notion of time: the port every room takes, and the one real clock. No other file reads the system time.

/** Milliseconds since the Unix epoch. */
export type EpochMs = number;

export interface Clock {
  /** Wall time, for records and expiry. */
  now(): EpochMs;
  /** Milliseconds from an arbitrary start that never steps back, for durations and deadlines. */
  monotonic(): number;
  /** Calls `fire` once after at least `ms` milliseconds, also beyond 2^31; returns a cancel function. */
  after(ms: number, fire: () => void): () => void;
}

// Node fires a longer timeout after 1 ms instead of waiting, so long waits are taken in steps.
const LONGEST_STEP_MS = 2 ** 31 - 1;

function armStep(clock: Clock, due: number, fire: () => void, hold: { timer?: NodeJS.Timeout }): void {
  const left = due - clock.monotonic();
  if (left <= 0) {
    fire();
    return;
  }
  hold.timer = setTimeout(
    () => {
      armStep(clock, due, fire, hold);
    },
    Math.min(left, LONGEST_STEP_MS),
  );
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fire) {
    const hold: { timer?: NodeJS.Timeout } = {};
    hold.timer = setTimeout(
      () => {
        armStep(systemClock, due, fire, hold);
      },
      Math.min(Math.max(ms, 0), LONGEST_STEP_MS),
    );
    const due = systemClock.monotonic() + ms;
    return () => {
      clearTimeout(hold.timer);
    };
  },
};

// The start of a run is said again with each of its steps.
let last: { at: EpochMs; text: string } | undefined;

/** `2026-11-21T04:05:06.789Z` for a time in milliseconds. */
export function isoTime(at: EpochMs): string {
  if (last?.at !== at) last = { at, text: new Date(at).toISOString() };
  return last.text;
}
