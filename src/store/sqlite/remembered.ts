// Owns what the writing connection knows of heads, counters and rows between its transactions, so that a commit need not
// look up what the commit before it has just written: what is pending in the redo log, and before that what it remembers.
//
// R1  All of it is forgotten, and what is pending read anew, when another connection has written since the last look at the
//     engine's count of that, and when a transaction was undone. A value that another one wrote between the look and the
//     reading moves the count, so it is forgotten with the rest at the next look.
// R2  Outside of a transaction one look serves until the event loop goes on: whatever this process can have heard of another
//     one's writing by then, it heard before.
import { asRuntimeError } from '../../base/errors.ts';
import type { ChainKey, RowKind, StoredRow } from '../contract.ts';
import type { ChainEnd, ChainMove, View } from '../plan.ts';
import { firstColumn } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Counters } from './counters.ts';
import type { Redo } from './redo.ts';
import { rowKey } from './row-key.ts';
import { toRow } from './rows.ts';
import type { Rows } from './rows.ts';

// Beyond this a map is emptied; what is used again comes back with one look-up.
const MOST = 4096;

const NAME_END = '\0'; // no name holds it

export interface Remembered {
  /** Looks; to be called first in each transaction (R1). */
  begun(): void;
  /** Likewise before a read of chains; a damaged entry of the redo log does not keep it from the records. */
  look(): void;
  /** To be called when a transaction was undone (R1). */
  undone(): void;
  /** The view with this memory before it; for use inside a transaction. */
  readonly view: View;
  /** Counters as they are now, also outside a transaction: what others wrote since is seen first. */
  counters(keys: readonly string[]): number[];
  /** A row as it is now, likewise. */
  row(kind: RowKind, tenant: string, id: string): StoredRow | undefined;
  keepEnd(move: ChainMove, handle: number): void;
  keepCounter(key: string, value: number): void;
  keepVersion(kind: RowKind, tenant: string, id: string, version: number): void;
}

const endKey = ({ tenant, aggregate, id }: ChainKey): string => tenant + NAME_END + aggregate + NAME_END + id;

function keep<T>(map: Map<string, T>, key: string, value: T): T {
  if (map.size >= MOST) map.clear();
  map.set(key, value);
  return value;
}

interface Beneath {
  view: View;
  redo: Redo;
  rows: Rows;
  counters: Counters;
}

interface KnownCounters {
  value(key: string): number;
  values(keys: readonly string[]): number[];
  keep(key: string, value: number): void;
  forget(): void;
}

function knownCounters({ view, redo, counters }: Beneath): KnownCounters {
  const known = new Map<string, number>();
  const held = (key: string): number | undefined => redo.counter(key) ?? known.get(key);
  const value = (key: string): number => held(key) ?? keep(known, key, view.counter(key));
  return {
    value,
    values(keys) {
      const unknown = keys.filter((key) => held(key) === undefined);
      if (unknown.length < 2) return keys.map(value);
      const found = counters.values(unknown);
      return keys.map((key) => held(key) ?? keep(known, key, found.get(key) ?? 0));
    },
    keep: (key, now) => void keep(known, key, now),
    forget: () => {
      known.clear();
    },
  };
}

interface Memory {
  ends: Map<string, ChainEnd>;
  versions: Map<string, number>;
  counters: KnownCounters;
}

/** The view with the memory before it. */
function viewBefore({ ends, versions, counters }: Memory, { view, redo }: Beneath): View {
  return {
    chainEnd(chain) {
      const key = endKey(chain);
      const held = ends.get(key);
      if (held !== undefined) return held;
      const found = view.chainEnd(chain);
      return found === undefined ? undefined : keep(ends, key, found);
    },
    leaseEpoch: (chain) => view.leaseEpoch(chain),
    counter: (key) => counters.value(key),
    rowVersion(kind, tenant, id) {
      const pending = redo.row(kind, tenant, id);
      if (pending !== undefined) return pending.version;
      const key = rowKey(kind, tenant, id);
      const held = versions.get(key);
      if (held !== undefined) return held;
      const found = view.rowVersion(kind, tenant, id);
      return found === undefined ? undefined : keep(versions, key, found);
    },
  };
}

/** R2: whether there was a look since the event loop last went on. */
function createFreshness(): { isFresh(): boolean; looked(): void; forget(): void } {
  let isFresh = false;
  const stale = (): void => {
    isFresh = false;
  };
  return {
    isFresh: () => isFresh,
    looked() {
      if (isFresh) return;
      isFresh = true;
      process.nextTick(stale);
    },
    forget: stale,
  };
}

export function createRemembered(db: Connection, beneath: Beneath): Remembered {
  const { redo, rows } = beneath;
  const counters = knownCounters(beneath);
  const otherWrites = db.prepare('PRAGMA data_version');
  const ends = new Map<string, ChainEnd>();
  const versions = new Map<string, number>();
  const memory = { ends, versions, counters };
  let seen: unknown; // the count at the last look
  const freshness = createFreshness();

  const forget = (): void => {
    ends.clear();
    counters.forget();
    versions.clear();
    seen = undefined;
    freshness.forget();
  };
  const begun = (): void => {
    const now = firstColumn(otherWrites.get([]));
    if (now !== seen) {
      forget();
      redo.reload();
      seen = now;
    }
    freshness.looked();
  };
  const lookNow = (): void => {
    if (!freshness.isFresh()) begun();
  };
  return {
    begun,
    look() {
      try {
        lookNow();
      } catch (thrown) {
        if (asRuntimeError(thrown).code !== 'STORE_CORRUPT') throw thrown;
      }
    },
    undone: forget,
    counters(keys) {
      if (keys.length === 0) return [];
      lookNow();
      return counters.values(keys);
    },
    row(kind, tenant, id) {
      lookNow();
      const pending = redo.row(kind, tenant, id);
      return pending === undefined ? rows.find(kind, tenant, id) : toRow(pending);
    },
    view: viewBefore(memory, beneath),
    keepEnd: ({ chain, end }, handle) => void keep(ends, endKey(chain), { ...end, handle }),
    keepCounter: (key, value) => {
      counters.keep(key, value);
    },
    keepVersion: (kind, tenant, id, version) => void keep(versions, rowKey(kind, tenant, id), version),
  };
}
