// Owns the table of chain ends (heads) and the records behind them: lookups inside a transaction, and the writing of
// a plan's records. An end is one indexed lookup, however long its chain.
import type { ChainKey, Head } from '../contract.ts';
import type { ChainEnd, ChainMove } from '../plan.ts';
import type { Connection } from './connection.ts';

export interface Chains {
  end(chain: ChainKey): ChainEnd | undefined;
  /** Writes the records of a move and the chain's new end; gives the chain's handle. */
  write(move: ChainMove): number;
  page(query: { tenant?: string; aggregate?: string; after: number; limit: number }): NumberedHead[];
  newestPosition(): number;
}

export type NumberedHead = Head & { handle: number };

interface ChainColumns extends ChainEnd {
  tenant: string;
  aggregate: ChainKey['aggregate'];
  id: string;
}

export function createChains(db: Connection): Chains {
  const find = db.prepare(
    'SELECT cid AS handle, seq, hash, epoch FROM chains WHERE tenant = ? AND aggregate = ? AND id = ?',
  );
  const create = db.prepare(
    'INSERT INTO chains (tenant, aggregate, id, seq, hash, epoch) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const advance = db.prepare('UPDATE chains SET seq = ?, hash = ?, epoch = ? WHERE cid = ?');
  const insert = db.prepare(
    `INSERT INTO records (cid, seq, tenant, type, header, hash, salt, evidence, sealed)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const newest = db.prepare('SELECT max(position) AS position FROM records');

  function handleFor({ chain, end }: ChainMove): number {
    if (end.handle !== 0) {
      advance.run([end.seq, end.hash, end.epoch, end.handle]);
      return end.handle;
    }
    const made = create.run([chain.tenant, chain.aggregate, chain.id, end.seq, end.hash, end.epoch]);
    return Number(made.lastInsertRowid);
  }

  return {
    end: (chain) => find.get([chain.tenant, chain.aggregate, chain.id]) as ChainEnd | undefined,
    write(move) {
      const cid = handleFor(move);
      for (const { chain, seq, type, header, hash, salt, evidence, sealed } of move.records) {
        insert.run([cid, seq, chain.tenant, type, header, hash, salt, evidence, sealed]);
      }
      return cid;
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
      return found.map(({ handle, tenant: owner, aggregate: kind, id, seq, hash }) => ({
        handle,
        chain: { tenant: owner, aggregate: kind, id },
        seq,
        hash,
      }));
    },
    newestPosition: () => (newest.get([]) as { position: number | null }).position ?? 0,
  };
}
