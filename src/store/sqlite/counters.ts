// Owns the counters: one number per key, absent meaning 0.
import type { Connection } from './connection.ts';

export interface Counters {
  value(key: string): number;
  set(key: string, value: number): void;
}

export function createCounters(db: Connection): Counters {
  const find = db.prepare('SELECT value FROM counters WHERE key = ?');
  const upsert = db.prepare(
    'INSERT INTO counters (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );
  return {
    value: (key) => (find.get([key]) as { value: number } | undefined)?.value ?? 0,
    set: (key, value) => void upsert.run([key, value]),
  };
}
