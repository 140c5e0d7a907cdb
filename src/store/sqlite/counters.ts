// Owns the counters: one number per key, absent meaning 0.
import type { Connection } from './connection.ts';
import { forMany, repeated } from './many.ts';

export interface Counters {
  value(key: string): number;
  /** Of all these keys, those that are not 0. Several at once cost one statement. */
  values(keys: readonly string[]): ReadonlyMap<string, number>;
  /** Several at once cost one statement. */
  set(values: ReadonlyMap<string, number>): void;
}

// What a commit moves fits into one statement; the engine allows thousands of values in one.
const MOST_AT_ONCE = 100;

export function createCounters(db: Connection): Counters {
  const find = db.prepare('SELECT value FROM counters WHERE key = ?');
  const findOf = forMany(
    db,
    (count) => `SELECT key, value FROM counters WHERE key IN (${repeated('?', count)})`,
  );
  const upsertOf = forMany(
    db,
    (count) =>
      `INSERT INTO counters (key, value) VALUES ${repeated('(?, ?)', count)}
       ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  );
  return {
    value: (key) => (find.get([key]) as { value: number } | undefined)?.value ?? 0,
    values(keys) {
      const found = new Map<string, number>();
      for (let from = 0; from < keys.length; from += MOST_AT_ONCE) {
        const some = keys.slice(from, from + MOST_AT_ONCE);
        const columns = findOf(some.length).all(some) as { key: string; value: number }[];
        for (const { key, value } of columns) found.set(key, value);
      }
      return found;
    },
    set(values) {
      const all = [...values];
      for (let from = 0; from < all.length; from += MOST_AT_ONCE) {
        const some = all.slice(from, from + MOST_AT_ONCE);
        upsertOf(some.length).run(some.flat());
      }
    },
  };
}
