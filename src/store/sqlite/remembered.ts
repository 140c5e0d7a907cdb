// Owns what the writing connection remembers of heads, counters and row versions from one of its transactions to the
// next, so that a commit need not look up what the commit before it has just written.
//
// R1  All of it is forgotten when another connection has written since the last look at the engine's count of that, and when
//     a transaction is undone. A value that another one wrote between the look and the reading moves the count, so it is
//     forgotten with the rest at the next look.
import type { ChainKey, RowKind } from '../contract.ts';
import type { ChainEnd, ChainMove, View } from '../plan.ts';
import { firstColumn } from './connection.ts';
import type { Connection } from './connection.ts';

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
  keepEnd(move: ChainMove, handle: number): void;
  keepCounter(key: string, value: number): void;
  keepVersion(kind: RowKind, tenant: string, id: string, version: number): void;
}

const endKey = ({ tenant, aggregate, id }: ChainKey): string => [tenant, aggregate, id].join(NAME_END);
const rowKey = (kind: RowKind, tenant: string, id: string): string => [kind, tenant, id].join(NAME_END);

function keep<T>(map: Map<string, T>, key: string, value: T): T {
  if (map.size >= MOST) map.clear();
  map.set(key, value);
  return value;
}

export function createRemembered(db: Connection, view: View): Remembered {
  const otherWrites = db.prepare('PRAGMA data_version');
  const ends = new Map<string, ChainEnd>();
  const counters = new Map<string, number>();
  const versions = new Map<string, number>();
  let seen: unknown; // the count at the last look

  const undone = (): void => {
    ends.clear();
    counters.clear();
    versions.clear();
  };
  const begun = (): void => {
    const now = firstColumn(otherWrites.get([]));
    if (now !== seen) undone();
    seen = now;
  };
  const counter = (key: string): number => counters.get(key) ?? keep(counters, key, view.counter(key));
  return {
    begun,
    undone,
    counters(keys) {
      if (keys.length === 0) return [];
      begun();
      return keys.map(counter);
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
