// Owns the redo log: what a transaction did to rows, counters, leases and the ends of chains, as one entry beside its records.
// These lie all over the file, so that writing them at once would make every commit touch a dozen pages; the entry is one.
// Their tables are written for many commits together, each row, counter, lease and end once.
//
// D1  A transaction's entry holds all it did to them, and is part of it: what is committed is never lost.
// D2  What is pending is known: all entries, also those of other processes, are here in memory, the newest value of each.
//     Whoever asks for a value asks here first; whoever reads the tables at large has the entries settled first.
// D3  Entries are settled in the order of their commits, in the transaction that takes them out.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Lease, RowKind } from '../contract.ts';
import type { Plan } from '../plan.ts';
import type { Chains, PendingEnd } from './chains.ts';
import type { Connection } from './connection.ts';
import type { Counters } from './counters.ts';
import type { Leases } from './leases.ts';
import type { Remembered } from './remembered.ts';
import { rowKey } from './row-key.ts';
import type { RowColumns } from './row-lists.ts';
import { toColumns } from './rows.ts';
import type { Rows } from './rows.ts';

// What one settling writes takes a few milliseconds, in which the event loop stands. Commits in company share an entry, so
// what the entries hold is counted too.
const MOST_ENTRIES = 64;
const MOST_VALUES = 512;

interface Entry {
  /** What a row has besides its body, in the order of `columnsOf`, and the body; in entries before version 4 as an object. */
  rows: ([...RowFacts, JsonObject] | RowColumns)[];
  counters: [string, number][];
  /** By the handle of its chain; entries of version 2 have none. */
  ends?: [number, PendingEnd][];
  /** Key, owner, epoch and end; entries before version 5 have none. */
  leases?: LeaseFacts[];
}

type LeaseFacts = [string, string, number, number];
type RowFacts = [RowKind, string, string, string, string, string | null, number, number];

/** What the transaction under way did so far, the newest value of each. */
interface Unwritten {
  rows: Map<string, RowColumns>;
  counters: Map<string, number>;
  ends: Map<number, PendingEnd>;
  leases: Map<string, Lease>;
}

interface PendingRow {
  row: RowColumns;
  /** It was made by one of the pending entries: the table has no row of this id. */
  isNew: boolean;
}

export interface Redo {
  /** Takes over what an accepted plan does. Inside the writer's transaction. */
  add(plan: Plan): void;
  /** Takes over a lease as it is now, likewise. */
  addLease(lease: Lease): void;
  /** Writes the entry of the transaction, to be called at its end; settles when many are pending (D1). */
  write(): void;
  row(kind: RowKind, tenant: string, id: string): RowColumns | undefined;
  counter(key: string): number | undefined;
  end(handle: number): PendingEnd | undefined;
  lease(key: string): Lease | undefined;
  /** Whether any process has left an entry. */
  isPending(): boolean;
  /** Brings the tables up to date. Inside the writer's transaction (D3). */
  settle(): void;
  /** Drops what is not written, and what is pending with it, until that is read anew: the transaction was undone. */
  drop(): void;
  /** Reads all entries anew: another process has written, or a transaction was undone (D2). */
  reload(): void;
}

/** The entry's JSON; the bodies are JSON already. */
function entryText({ rows, counters, ends, leases }: Unwritten): string {
  const shown: string[] = [];
  for (const row of rows.values()) {
    const { kind, tenant, id, principal, status, ref, updated_at: updatedAt, version, body } = row;
    const facts: RowFacts = [kind, tenant, id, principal, status, ref, updatedAt, version];
    shown.push(`${JSON.stringify(facts).slice(0, -1)},${body}]`);
  }
  const taken = [...leases.values()].map(({ key, owner, epoch, until }): LeaseFacts => [
    key,
    owner,
    epoch,
    until,
  ]);
  const others = JSON.stringify({ counters: [...counters], ends: [...ends], leases: taken });
  return `{"rows":[${shown.join(',')}],${others.slice(1)}`;
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
  leases: Pick<Leases, 'write'>;
  remembered: Pick<Remembered, 'settled'>;
}

/** What is pending, the newest value of each. */
interface Pending {
  rows: Map<string, PendingRow>;
  counters: Map<string, number>;
  ends: Map<number, PendingEnd>;
  leases: Map<string, Lease>;
  entries: number;
}

function columnsOf(row: Entry['rows'][number]): RowColumns {
  if (!Array.isArray(row)) return row;
  const [kind, tenant, id, principal, status, ref, updatedAt, version, body] = row;
  const text = JSON.stringify(body);
  return { kind, tenant, id, principal, status, ref, updated_at: updatedAt, version, body: text };
}

function keepRow({ rows }: Pending, key: string, row: RowColumns): void {
  rows.set(key, { row, isNew: row.version === 1 || rows.get(key)?.isNew === true });
}

function takeEntry(pending: Pending, { rows, counters, ends = [], leases = [] }: Entry): void {
  for (const written of rows) {
    const row = columnsOf(written);
    keepRow(pending, rowKey(row.kind, row.tenant, row.id), row);
  }
  for (const [key, value] of counters) pending.counters.set(key, value);
  for (const [handle, end] of ends) pending.ends.set(handle, end);
  for (const [key, owner, epoch, until] of leases) pending.leases.set(key, { key, owner, epoch, until });
  pending.entries++;
}

function takePlan(pending: Pending, unwritten: Unwritten, plan: Plan): void {
  for (const { end } of plan.chains) {
    if (end.handle === 0) continue;
    const at = { seq: end.seq, hash: end.hash, epoch: end.epoch };
    unwritten.ends.set(end.handle, at);
    pending.ends.set(end.handle, at);
  }
  for (const { row, version } of plan.rows) {
    const key = rowKey(row.kind, row.tenant, row.id);
    const columns = toColumns(row, version);
    unwritten.rows.set(key, columns);
    keepRow(pending, key, columns);
  }
  for (const [key, value] of plan.counters) {
    unwritten.counters.set(key, value);
    pending.counters.set(key, value);
  }
}

function clear({ rows, counters, ends, leases }: Pending | Unwritten): void {
  for (const values of [rows, counters, ends, leases]) values.clear();
}

function isEmpty({ rows, counters, ends, leases }: Unwritten): boolean {
  return rows.size + counters.size + ends.size + leases.size === 0;
}

function isMuch({ rows, counters, ends, leases, entries }: Pending): boolean {
  return entries >= MOST_ENTRIES || rows.size + counters.size + ends.size + leases.size >= MOST_VALUES;
}

export function createRedo(db: Connection, tables: () => SettledTables): Redo {
  const insert = db.prepare('INSERT INTO redo (entry) VALUES (?)');
  const first = db.prepare('SELECT id FROM redo LIMIT 1');
  const all = db.prepare('SELECT id, entry FROM redo ORDER BY id');
  const remove = db.prepare('DELETE FROM redo');
  const none = (): Unwritten => ({
    rows: new Map(),
    counters: new Map(),
    ends: new Map(),
    leases: new Map(),
  });
  const unwritten = none();
  const pending: Pending = { ...none(), rows: new Map<string, PendingRow>(), entries: 0 };

  const forget = (): void => {
    clear(pending);
    clear(unwritten);
    pending.entries = 0;
  };
  const settle = (): void => {
    const { rows, counters, chains, leases, remembered } = tables();
    const settled = [...pending.rows.values()];
    rows.add(settled.filter(({ isNew }) => isNew).map(({ row }) => row));
    for (const { row, isNew } of settled) if (!isNew) rows.write(row);
    counters.set(pending.counters);
    for (const [handle, end] of pending.ends) chains.advance(handle, end);
    for (const lease of pending.leases.values()) leases.write(lease);
    remove.run([]);
    forget();
    remembered.settled();
  };
  return {
    add(plan) {
      takePlan(pending, unwritten, plan);
    },
    addLease(lease) {
      unwritten.leases.set(lease.key, lease);
      pending.leases.set(lease.key, lease);
    },
    write() {
      if (isEmpty(unwritten)) return;
      insert.run([entryText(unwritten)]);
      clear(unwritten);
      pending.entries++;
      if (isMuch(pending)) settle();
    },
    row: (kind, tenant, id) => pending.rows.get(rowKey(kind, tenant, id))?.row,
    counter: (key) => pending.counters.get(key),
    end: (handle) => pending.ends.get(handle),
    lease: (key) => pending.leases.get(key),
    isPending: () => first.get([]) !== undefined,
    settle,
    drop: forget,
    reload() {
      forget();
      for (const { id, entry } of all.all([]) as { id: number; entry: unknown }[])
        takeEntry(pending, readEntry(id, entry));
    },
  };
}
