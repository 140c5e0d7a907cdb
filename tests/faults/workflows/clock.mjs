// The time of the workflow suite: it runs faster than the real one, and jumps on with each new process, so that what a
// dead process had taken is free again at once. Parent and workers count alike, from the same beginning.
const SPEED = 10;

/** Longer than a taken timer, a hold or a sign of life counts. */
export const JUMP_MS = 61_000;

/** What time it is for everybody, `jumps` processes after `origin`. */
export function timeAt({ origin, jumps, speed = SPEED }) {
  return origin + (Date.now() - origin) * speed + jumps * JUMP_MS;
}

/** The clock that a worker's runtime is given; `real` is the product's own. */
export function fastClock(real, place) {
  const { speed = SPEED } = place;
  return {
    now: () => timeAt(place),
    monotonic: () => real.monotonic() * speed,
    after: (ms, fire) => real.after(ms / speed, fire),
  };
}
