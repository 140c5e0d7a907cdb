// Owns the redo log: what a commit did to rows, counters and the ends of chains, as one entry beside its records. These lie
// all over the file, so that writing them at once would make every commit touch a dozen pages; the entry is one. Their
// tables are written for many commits together, each row, counter and end once.
//
// D1  A commit's entry holds all it did to them, and is in its transaction: what is committed is never lost.
// D2  What is pending is known: all entries, also those of other processes, are here in memory, the newest value of each.
//     Whoever asks for a value asks here first; whoever reads the tables at large has the entries settled first.
// D3  Entries are settled in the order of their commits, in the transaction that takes them out.
import { RuntimeError } from '../../base/errors.ts';
import type { RowKind } from '../contract.ts';
import type { Plan } from '../plan.ts';
import type { Chains, PendingEnd } from './chains.ts';
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
  /** By the handle of its chain; entries of version 2 have none. */
  ends?: [number, PendingEnd][];
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
  end(handle: number): PendingEnd | undefined;
  /** Whether any process has left an entry. */
  isPending(): boolean;
  /** Brings the tables up to date. Inside the writer's transaction (D3). */
  settle(): void;
  /** Reads all entries anew: another process has written, or a transaction was undone (D2). */
  reload(): void;
}

function readEntry(id: number, text: unknown): Entry {
  try {
    return JSON.parse(String(text)) as Entry;
  } catch {
    // What it held may be the mark of a spent approval, so nothing is decided without it.
    const sentence = `Entry ${id} of the redo log is damaged: the tables cannot be brought up to date.`;
    throw new RuntimeError('STORE_CORRUPT', sentence, { entry: id });
  }
}

/** The pending ends as a reader finds them that must not write: a damaged entry says nothing. */
export function readPendingEnds(db: Connection): ReadonlyMap<number, PendingEnd> {
  const ends = new Map<number, PendingEnd>();
  const isThere = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'redo'").get([]) !== undefined;
  const found = isThere ? db.prepare('SELECT id, entry FROM redo ORDER BY id').all([]) : [];
  for (const { id, entry } of found as { id: number; entry: unknown }[]) {
    try {
      for (const [handle, end] of readEntry(id, entry).ends ?? []) ends.set(handle, end);
    } catch {
      // The records behind it are read and judged all the same.
    }
  }
  return ends;
}

interface SettledTables {
  rows: Rows;
  counters: Counters;
  chains: Pick<Chains, 'advance'>;
}

export function createRedo(db: Connection, tables: () => SettledTables): Redo {
  const insert = db.prepare('INSERT INTO redo (entry) VALUES (?)');
  const first = db.prepare('SELECT id FROM redo LIMIT 1');
  const all = db.prepare('SELECT id, entry FROM redo ORDER BY id');
  const remove = db.prepare('DELETE FROM redo');
  const pendingRows = new Map<string, PendingRow>();
  const pendingCounters = new Map<string, number>();
  const pendingEnds = new Map<number, PendingEnd>();
  let pending = 0;

  const keep = ({ rows: written, counters: moved, ends = [] }: Entry): void => {
    for (const row of written) {
      const key = rowKey(row.kind, row.tenant, row.id);
      pendingRows.set(key, { row, isNew: row.version === 1 || pendingRows.get(key)?.isNew === true });
    }
    for (const [key, value] of moved) pendingCounters.set(key, value);
    for (const [handle, end] of ends) pendingEnds.set(handle, end);
    pending++;
  };
  const forget = (): void => {
    pendingRows.clear();
    pendingCounters.clear();
    pendingEnds.clear();
    pending = 0;
  };
  const settle = (): void => {
    const { rows, counters, chains } = tables();
    const written = [...pendingRows.values()];
    rows.add(written.filter(({ isNew }) => isNew).map(({ row }) => row));
    for (const { row, isNew } of written) if (!isNew) rows.write(row);
    counters.set(pendingCounters);
    for (const [handle, end] of pendingEnds) chains.advance(handle, end);
    remove.run([]);
    forget();
  };
  return {
    add(plan) {
      const ends = plan.chains.flatMap(({ end }): [number, PendingEnd][] =>
        end.handle === 0 ? [] : [[end.handle, { seq: end.seq, hash: end.hash, epoch: end.epoch }]],
      );
      if (plan.rows.length === 0 && plan.counters.size === 0 && ends.length === 0) return;
      const written = plan.rows.map(({ row, version }) => toColumns(row, version));
      const entry = { rows: written, counters: [...plan.counters], ends };
      insert.run([JSON.stringify(entry)]);
      keep(entry);
      if (pending >= MOST_PENDING) settle();
    },
    row: (kind, tenant, id) => pendingRows.get(rowKey(kind, tenant, id))?.row,
    counter: (key) => pendingCounters.get(key),
    end: (handle) => pendingEnds.get(handle),
    isPending: () => first.get([]) !== undefined,
    settle,
    reload() {
      forget();
      for (const { id, entry } of all.all([]) as { id: number; entry: unknown }[]) keep(readEntry(id, entry));
    },
  };
}
