// Owns the redo log of the read model: what a commit did to rows and counters, as one entry beside its records. Rows and
// counters have indexes all over the file, so that writing them at once would make every commit touch a dozen pages; the
// entry is one. Their tables are written for many commits together, each row and counter once.
//
// D1  A commit's entry holds all it did to rows and counters, and is in its transaction: what is committed is never lost.
// D2  What is pending is known: all entries, also those of other processes, are here in memory, the newest value of each.
//     Whoever asks for a value asks here first; whoever reads the tables at large has the entries settled first.
// D3  Entries are settled in the order of their commits, in the transaction that takes them out.
import { RuntimeError } from '../../base/errors.ts';
import type { RowKind } from '../contract.ts';
import type { Plan } from '../plan.ts';
import type { Connection } from './connection.ts';
import type { Counters } from './counters.ts';
import { rowKey } from './row-key.ts';
import type { RowColumns } from './row-lists.ts';
import { toColumns } from './rows.ts';
import type { Rows } from './rows.ts';

// What one settling writes takes a few milliseconds, in which the event loop stands.
const MOST_PENDING = 64;

interface Entry {
  rows: RowColumns[];
  counters: [string, number][];
}

interface PendingRow {
  row: RowColumns;
  /** It was made by one of the pending entries: the table has no row of this id. */
  isNew: boolean;
}

export interface Redo {
  /** Writes the entry of an accepted plan; settles when many are pending. Inside the writer's transaction (D1). */
  add(plan: Plan): void;
  row(kind: RowKind, tenant: string, id: string): RowColumns | undefined;
  counter(key: string): number | undefined;
  /** Whether any process has left an entry. */
  isPending(): boolean;
  /** Brings rows and counters up to date. Inside the writer's transaction (D3). */
  settle(): void;
  /** Reads all entries anew: another process has written, or a transaction was undone (D2). */
  reload(): void;
}

function readEntry(id: number, text: unknown): Entry {
  try {
    return JSON.parse(String(text)) as Entry;
  } catch {
    // What it held may be the mark of a spent approval, so nothing is decided without it.
    const sentence = `Entry ${id} of the redo log is damaged: rows and counters cannot be brought up to date.`;
    throw new RuntimeError('STORE_CORRUPT', sentence, { entry: id });
  }
}

export function createRedo(db: Connection, rows: Rows, counters: Counters): Redo {
  const insert = db.prepare('INSERT INTO redo (entry) VALUES (?)');
  const first = db.prepare('SELECT id FROM redo LIMIT 1');
  const all = db.prepare('SELECT id, entry FROM redo ORDER BY id');
  const remove = db.prepare('DELETE FROM redo');
  const pendingRows = new Map<string, PendingRow>();
  const pendingCounters = new Map<string, number>();
  let pending = 0;

  const keep = ({ rows: written, counters: moved }: Entry): void => {
    for (const row of written) {
      const key = rowKey(row.kind, row.tenant, row.id);
      pendingRows.set(key, { row, isNew: row.version === 1 || pendingRows.get(key)?.isNew === true });
    }
    for (const [key, value] of moved) pendingCounters.set(key, value);
    pending++;
  };
  const forget = (): void => {
    pendingRows.clear();
    pendingCounters.clear();
    pending = 0;
  };
  const settle = (): void => {
    const written = [...pendingRows.values()];
    rows.add(written.filter(({ isNew }) => isNew).map(({ row }) => row));
    for (const { row, isNew } of written) if (!isNew) rows.write(row);
    counters.set(pendingCounters);
    remove.run([]);
    forget();
  };
  return {
    add(plan) {
      if (plan.rows.length === 0 && plan.counters.size === 0) return;
      const written = plan.rows.map(({ row, version }) => toColumns(row, version));
      const entry = { rows: written, counters: [...plan.counters] };
      insert.run([JSON.stringify(entry)]);
      keep(entry);
      if (pending >= MOST_PENDING) settle();
    },
    row: (kind, tenant, id) => pendingRows.get(rowKey(kind, tenant, id))?.row,
    counter: (key) => pendingCounters.get(key),
    isPending: () => first.get([]) !== undefined,
    settle,
    reload() {
      forget();
      for (const { id, entry } of all.all([]) as { id: number; entry: unknown }[]) keep(readEntry(id, entry));
    },
  };
}
