// Owns the timers. `ready_at` is when one may be taken: its due time, or the end of the time it was last taken for.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Timer, TimerWrite } from '../contract.ts';
import type { Connection } from './connection.ts';

export interface TimerClaim {
  owner: string;
  now: EpochMs;
  ms: number;
  limit: number;
  agent?: string | undefined;
}

export interface Timers {
  set(timer: TimerWrite): void;
  cancel(tenant: string, id: string): void;
  claim(claim: TimerClaim): Timer[];
  oldestDue(tenant: string, now: EpochMs, agent?: string): EpochMs | undefined;
}

interface TimerColumns {
  rowid: number;
  tenant: string;
  id: string;
  due_at: number;
  epoch: number;
  payload: string;
}

function readPayload(text: string): JsonObject | undefined {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return undefined;
  }
}

// A damaged payload names nobody.
const NAMED = `CASE WHEN json_valid(payload) THEN json_extract(payload, '$.agent_id') END`;
const IS_FOR = `(?3 IS NULL OR coalesce(${NAMED}, ?3) = ?3)`;

export function createTimers(db: Connection): Timers {
  // Set again, a timer keeps its epoch: who took it before can still be told from who takes it next.
  const upsert = db.prepare(
    `INSERT INTO timers (tenant, id, due_at, ready_at, owner, epoch, payload) VALUES (?, ?, ?, ?, '', 0, ?)
     ON CONFLICT (tenant, id) DO UPDATE SET due_at = excluded.due_at, ready_at = excluded.ready_at, owner = '',
       payload = excluded.payload`,
  );
  const remove = db.prepare('DELETE FROM timers WHERE tenant = ? AND id = ?');
  const due = db.prepare(
    `SELECT rowid, tenant, id, due_at, epoch, payload FROM timers
     WHERE ready_at <= ?1 AND ${IS_FOR} ORDER BY ready_at, tenant, id LIMIT ?2`,
  );
  const oldest = db.prepare(
    `SELECT MIN(ready_at) AS at FROM timers WHERE tenant = ?1 AND ready_at <= ?2 AND ${IS_FOR}`,
  );
  const take = db.prepare('UPDATE timers SET owner = ?, ready_at = ?, epoch = epoch + 1 WHERE rowid = ?');

  return {
    set: ({ tenant, id, dueAt, payload }) =>
      void upsert.run([tenant, id, dueAt, dueAt, JSON.stringify(payload)]),
    cancel: (tenant, id) => void remove.run([tenant, id]),
    claim({ owner, now, ms, limit, agent }) {
      const taken: Timer[] = [];
      for (const found of due.all([now, limit, agent ?? null]) as TimerColumns[]) {
        take.run([owner, now + ms, found.rowid]);
        const payload = readPayload(found.payload);
        if (payload === undefined) continue; // damaged: taken, so that it does not stand in the others' way
        const { tenant, id, due_at: dueAt, epoch } = found;
        taken.push({ tenant, id, dueAt, payload, epoch: epoch + 1 });
      }
      return taken;
    },
    oldestDue(tenant, now, agent) {
      const { at } = oldest.get([tenant, now, agent ?? null]) as { at: number | null };
      return at ?? undefined;
    },
  };
}
