// Owns what the writing connection knows of heads, counters and rows between its transactions, so that a commit need not
// look up what the commit before it has just written: what is pending in the redo log, and before that what it remembers.
//
// R1  All of it is forgotten, and what is pending read anew, when another connection has written since the last look at the
//     engine's count of that, and when a transaction was undone. A value that another one wrote between the look and the
//     reading moves the count, so it is forgotten with the rest at the next look. What is read here of counters and rows may be
//     older than what is pending, which is asked first; so it is forgotten too when that is settled.
// R2  Outside of a transaction one look serves until the event loop goes on: whatever this process can have heard of another
//     one's writing by then, it heard before.
import { asRuntimeError } from '../../base/errors.ts';
import type { ChainKey, RowKind, StoredRow } from '../contract.ts';
import type { ChainEnd, ChainMove, View } from '../plan.ts';
import { firstColumn } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Counters } from './counters.ts';
import type { Leases } from './leases.ts';
import type { Redo } from './redo.ts';
import { rowKey } from './row-key.ts';
import { toRow } from './rows.ts';
import type { Rows } from './rows.ts';

// Beyond this a map is emptied; what is used again comes back with one look-up.
const MOST = 4096;

// A statement that gives several rows costs as much as so many that give one.
const WORTH_ONE_STATEMENT = 8;

const NAME_END = '\0'; // no name holds it

export interface Remembered {
  /** Looks; to be called first in each transaction (R1). */
  begun(): void;
  /** Likewise before a read of chains; a damaged entry of the redo log does not keep it from the records. */
  look(): void;
  /** To be called when a transaction was undone (R1). */
  undone(): void;
  /** To be called when what was pending has been settled (R1). */
  settled(): void;
  /** The view with this memory before it; for use inside a transaction. */
  readonly view: View;
  /** Counters as they are now, also outside a transaction: what others wrote since is seen first. */
  counters(keys: readonly string[]): number[];
  /** A row as it is now, likewise. */
  row(kind: RowKind, tenant: string, id: string): StoredRow | undefined;
  keepEnd(move: ChainMove, handle: number): void;
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
  leases: Pick<Leases, 'forget'>;
}

interface KnownCounters {
  value(key: string): number;
  values(keys: readonly string[]): number[];
  forget(): void;
}

function knownCounters({ view, redo, counters }: Beneath): KnownCounters {
  const known = new Map<string, number>();
  const held = (key: string): number | undefined => redo.counter(key) ?? known.get(key);
  const value = (key: string): number => held(key) ?? keep(known, key, view.counter(key));
  return {
    value,
    values(keys) {
      const all = keys.map(held); // before anything is kept, which may empty the map
      const unknown = keys.filter((_, index) => all[index] === undefined);
      if (unknown.length < WORTH_ONE_STATEMENT) return keys.map((key, index) => all[index] ?? value(key));
      const found = counters.values(unknown);
      return keys.map((key, index) => all[index] ?? keep(known, key, found.get(key) ?? 0));
    },
    forget: () => {
      known.clear();
    },
  };
}

interface Memory {
  ends: Map<string, ChainEnd>;
  /** undefined: there is no such row. */
  versions: Map<string, number | undefined>;
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
      return held !== undefined || versions.has(key)
        ? held
        : keep(versions, key, view.rowVersion(kind, tenant, id));
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
  const { redo, rows, leases } = beneath;
  const counters = knownCounters(beneath);
  const otherWrites = db.prepare('PRAGMA data_version');
  const ends = new Map<string, ChainEnd>();
  const versions: Memory['versions'] = new Map();
  const memory = { ends, versions, counters };
  let seen: unknown; // the count at the last look
  const freshness = createFreshness();

  const settled = (): void => {
    counters.forget();
    versions.clear();
  };
  const forget = (): void => {
    ends.clear();
    leases.forget();
    settled();
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
    settled,
    counters(keys) {
      if (keys.length === 0) return [];
      lookNow();
      return counters.values(keys);
    },
    row(kind, tenant, id) {
      lookNow();
      const pending = redo.row(kind, tenant, id);
      if (pending !== undefined) return toRow(pending);
      const found = rows.find(kind, tenant, id);
      keep(versions, rowKey(kind, tenant, id), found?.version);
      return found;
    },
    view: viewBefore(memory, beneath),
    keepEnd: ({ chain, end }, handle) => void keep(ends, endKey(chain), { ...end, handle }),
  };
}
