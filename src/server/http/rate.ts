// Owns rates: how much each of many may do, as buckets that fill with time. Their number is bounded; who is forgotten
// starts with a full bucket, which is what time would have given.
import type { Clock } from '../../base/clock.ts';

const MOST_BUCKETS = 10_000;

interface Bucket {
  left: number;
  at: number;
}

export interface Rate {
  /** Takes one from the bucket of `who`; 0 when there was one, else the seconds until there is. */
  take(who: string): number;
}

/** `perSecond` on average, `burst` in one go. */
export function createRate(clock: Clock, perSecond: number, burst: number): Rate {
  // In the order of use, so that the first is the longest unused.
  const buckets = new Map<string, Bucket>();
  return {
    take(who) {
      const now = clock.monotonic();
      const found = buckets.get(who);
      const bucket = found ?? { left: burst, at: now };
      if (found !== undefined) buckets.delete(who);
      else if (buckets.size >= MOST_BUCKETS) buckets.delete(buckets.keys().next().value ?? '');
      buckets.set(who, bucket);
      bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
      bucket.at = now;
      if (bucket.left < 1) return Math.max(1, Math.ceil((1 - bucket.left) / perSecond));
      bucket.left -= 1;
      return 0;
    },
  };
}
