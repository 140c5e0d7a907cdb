// Owns what the writing connection knows of heads, counters and rows between its transactions, so that a commit need not
// look up what the commit before it has just written: what is pending in the redo log, and before that what it remembers.
//
// R1  All of it is forgotten, and what is pending read anew, when another connection has written since the last look at the
//     engine's count of that, and when a transaction was undone. A value that another one wrote between the look and the
//     reading moves the count, so it is forgotten with the rest at the next look.
import type { ChainKey, RowKind, StoredRow } from '../contract.ts';
import type { ChainEnd, ChainMove, View } from '../plan.ts';
import { firstColumn } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Redo } from './redo.ts';
import { rowKey } from './row-key.ts';
import { toRow } from './rows.ts';
import type { Rows } from './rows.ts';

// Beyond this a map is emptied; what is used again comes back with one look-up.
const MOST = 4096;

const NAME_END = '\0'; // no name holds it

export interface Remembered {
  /** To be called first in each transaction (R1). */
  begun(): void;
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
}

export function createRemembered(db: Connection, { view, redo, rows }: Beneath): Remembered {
  const otherWrites = db.prepare('PRAGMA data_version');
  const ends = new Map<string, ChainEnd>();
  const counters = new Map<string, number>();
  const versions = new Map<string, number>();
  let seen: unknown; // the count at the last look

  const forget = (): void => {
    ends.clear();
    counters.clear();
    versions.clear();
    seen = undefined;
  };
  const begun = (): void => {
    const now = firstColumn(otherWrites.get([]));
    if (now === seen) return;
    forget();
    redo.reload();
    seen = now;
  };
  const counter = (key: string): number =>
    redo.counter(key) ?? counters.get(key) ?? keep(counters, key, view.counter(key));
  return {
    begun,
    undone: forget,
    counters(keys) {
      if (keys.length === 0) return [];
      begun();
      return keys.map(counter);
    },
    row(kind, tenant, id) {
      begun();
      const pending = redo.row(kind, tenant, id);
      return pending === undefined ? rows.find(kind, tenant, id) : toRow(pending);
    },
    view: {
      chainEnd(chain) {
        const key = endKey(chain);
        const held = ends.get(key);
        if (held !== undefined) return held;
        const found = view.chainEnd(chain);
        return found === undefined ? undefined : keep(ends, key, found);
      },
      leaseEpoch: (chain) => view.leaseEpoch(chain),
      counter,
      rowVersion(kind, tenant, id) {
        const pending = redo.row(kind, tenant, id);
        if (pending !== undefined) return pending.version;
        const key = rowKey(kind, tenant, id);
        const held = versions.get(key);
        if (held !== undefined) return held;
        const found = view.rowVersion(kind, tenant, id);
        return found === undefined ? undefined : keep(versions, key, found);
      },
    },
    keepEnd: ({ chain, end }, handle) => void keep(ends, endKey(chain), { ...end, handle }),
    keepCounter: (key, value) => void keep(counters, key, value),
    keepVersion: (kind, tenant, id, version) => void keep(versions, rowKey(kind, tenant, id), version),
  };
}
