// Owns waiting for an end for no longer than a grace.
import type { Clock } from '../base/clock.ts';

export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  let cancel = (): void => undefined;
  const limit = new Promise<void>((resolve) => {
    cancel = clock.after(ms, resolve);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    cancel();
  }
}
