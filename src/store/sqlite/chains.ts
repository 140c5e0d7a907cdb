// Owns the table of chain ends (heads): lookups inside a transaction, and new chains. An end is one indexed lookup, however
// long its chain. The end of a chain that went on lies in the redo log until that is settled; what is pending stands before
// what the table says.
import type { ChainKey, Head } from '../contract.ts';
import type { ChainPoint } from '../chain.ts';
import type { ChainEnd, ChainMove } from '../plan.ts';
import type { Connection } from './connection.ts';

/** Where the chain of this handle stands. */
export interface PendingEnd extends ChainPoint {
  epoch: number;
}

export type PendingEnds = (handle: number) => PendingEnd | undefined;

export interface Chains {
  end(chain: ChainKey): ChainEnd | undefined;
  /** The handle of a move's chain, made if it is new. The new end of a chain that was there goes to the redo log. */
  handleFor(move: ChainMove): number;
  /** Writes the end of a chain that is there. */
  advance(handle: number, end: PendingEnd): void;
  page(query: { tenant?: string; aggregate?: string; after: number; limit: number }): NumberedHead[];
  newestPosition(): number;
}

export type NumberedHead = Head & { handle: number };

interface ChainColumns extends ChainEnd {
  tenant: string;
  aggregate: ChainKey['aggregate'];
  id: string;
}

export function createChains(db: Connection, pending: PendingEnds): Chains {
  const find = db.prepare(
    'SELECT cid AS handle, seq, hash, epoch FROM chains WHERE tenant = ? AND aggregate = ? AND id = ?',
  );
  const create = db.prepare(
    'INSERT INTO chains (tenant, aggregate, id, seq, hash, epoch) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const advance = db.prepare('UPDATE chains SET seq = ?, hash = ?, epoch = ? WHERE cid = ?');
  const newest = db.prepare('SELECT max(position) AS position FROM records');

  function handleFor({ chain, end }: ChainMove): number {
    if (end.handle !== 0) return end.handle;
    const made = create.run([chain.tenant, chain.aggregate, chain.id, end.seq, end.hash, end.epoch]);
    return Number(made.lastInsertRowid);
  }

  return {
    end(chain) {
      const found = find.get([chain.tenant, chain.aggregate, chain.id]) as ChainEnd | undefined;
      return found && { ...found, ...pending(found.handle) };
    },
    handleFor,
    advance(handle, { seq, hash, epoch }) {
      advance.run([seq, hash, epoch, handle]);
    },
    page({ tenant, aggregate, after, limit }) {
      const where = ['cid > ?'];
      if (tenant !== undefined) where.push('tenant = ?');
      if (aggregate !== undefined) where.push('aggregate = ?');
      const values = [
        after,
        ...(tenant === undefined ? [] : [tenant]),
        ...(aggregate === undefined ? [] : [aggregate]),
      ];
      const found = db
        .prepare(
          `SELECT cid AS handle, tenant, aggregate, id, seq, hash, epoch FROM chains
           WHERE ${where.join(' AND ')} ORDER BY cid LIMIT ?`,
        )
        .all([...values, limit]) as ChainColumns[];
      return found.map(({ tenant: owner, aggregate: kind, id, ...end }) => {
        const { seq, hash } = pending(end.handle) ?? end;
        return { handle: end.handle, chain: { tenant: owner, aggregate: kind, id }, seq, hash };
      });
    },
    newestPosition: () => (newest.get([]) as { position: number | null }).position ?? 0,
  };
}
