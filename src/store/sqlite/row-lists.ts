// Owns the lists of read-model rows by time, each walking an index: that of one status, backwards where the oldest come
// first, or of one ref. A list of all statuses merges those of each, so that a row that is written has one index by time to
// move in and not two.
import type { RowKind, RowOrder, RowQuery } from '../contract.ts';
import { decodeCursor } from '../cursor.ts';
import type { RowCursor } from '../cursor.ts';
import type { Connection, SqlValue } from './connection.ts';

export interface RowColumns {
  kind: RowKind;
  tenant: string;
  id: string;
  principal: string;
  status: string;
  ref: string | null;
  updated_at: number;
  version: number;
  body: string;
}

export const COLUMNS: string = 'kind, tenant, id, principal, status, ref, updated_at, version, body';

export interface RowLists {
  /** Up to one row more than the limit. */
  find(query: RowQuery): RowColumns[];
}

function newestFirst(a: RowColumns, b: RowColumns): number {
  if (a.updated_at !== b.updated_at) return b.updated_at - a.updated_at;
  return Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)); // as the engine compares
}

/** The second is the first backwards, so that one index serves both. */
const ORDERS: Readonly<Record<RowOrder, { by: string; after: string; compare: typeof newestFirst }>> = {
  newest: {
    by: 'updated_at DESC, id',
    after: 'updated_at <= ? AND (updated_at < ? OR id > ?)',
    compare: newestFirst,
  },
  oldest: {
    by: 'updated_at, id DESC',
    after: 'updated_at >= ? AND (updated_at > ? OR id < ?)',
    compare: (a, b) => newestFirst(b, a),
  },
};

function orderOf(query: RowQuery): (typeof ORDERS)[RowOrder] {
  return ORDERS[query.order ?? 'newest'];
}

export function createRowLists(db: Connection): RowLists {
  const nextStatus = db.prepare(
    'SELECT min(status) AS status FROM read_rows WHERE kind = ? AND tenant = ? AND status > ?',
  );

  function select(query: RowQuery, cursor: RowCursor | undefined): RowColumns[] {
    const order = orderOf(query);
    const where = ['kind = ?', 'tenant = ?'];
    const values: SqlValue[] = [query.kind, query.tenant];
    for (const name of ['principal', 'status', 'ref'] as const) {
      const value = query[name];
      if (value === undefined) continue;
      where.push(`${name} = ?`);
      values.push(value);
    }
    if (cursor !== undefined) {
      const [at, id] = cursor;
      where.push(order.after);
      values.push(at, at, id);
    }
    // Without statistics the engine would rather walk every row by time.
    const by = query.ref === undefined ? '' : 'INDEXED BY rows_by_ref';
    const sql = `SELECT ${COLUMNS} FROM read_rows ${by} WHERE ${where.join(' AND ')} ORDER BY ${order.by} LIMIT ?`;
    return db.prepare(sql).all([...values, query.limit + 1]) as RowColumns[];
  }

  /** A kind has few statuses, none of them empty: one seek each. */
  function statuses(kind: RowKind, tenant: string): string[] {
    const found: string[] = [];
    for (let last = ''; ; last = found.at(-1) ?? '') {
      const { status } = nextStatus.get([kind, tenant, last]) as { status: string | null };
      if (status === null) return found;
      found.push(status);
    }
  }

  return {
    find(query) {
      const cursor = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
      if (query.status !== undefined || query.ref !== undefined) return select(query, cursor);
      // The first of any status are among the first of each.
      return statuses(query.kind, query.tenant)
        .flatMap((status) => select({ ...query, status }, cursor))
        .sort(orderOf(query).compare)
        .slice(0, query.limit + 1);
    },
  };
}
