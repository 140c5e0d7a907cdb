// Owns the read-model rows: their writing at a planned version, and what a row is to those who read it.
import type { JsonObject } from '../../base/json.ts';
import type { Page, Row, RowKind, RowQuery, StoredRow } from '../contract.ts';
import { checkLimit, encodeCursor, LARGEST_PAGE, makePage } from '../cursor.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Connection, SqlValue } from './connection.ts';
import { forMany, repeated } from './many.ts';
import { COLUMNS, createRowLists } from './row-lists.ts';
import type { RowColumns } from './row-lists.ts';

export interface Rows {
  version(kind: RowKind, tenant: string, id: string): number | undefined;
  /** Adds rows that the table has not; several at once cost one statement. */
  add(rows: readonly RowColumns[]): void;
  /** Writes a row that the table has. */
  write(columns: RowColumns): void;
  find(kind: RowKind, tenant: string, id: string): StoredRow | undefined;
  list(query: RowQuery): Page<StoredRow>;
}

// As many as are settled at once; the engine allows thousands of values in one statement.
const MOST_AT_ONCE = 64;

function valuesOf(row: RowColumns): SqlValue[] {
  const { kind, tenant, id, principal, status, ref, updated_at: updatedAt, version, body } = row;
  return [kind, tenant, id, principal, status, ref, updatedAt, version, body];
}

function readBody(columns: RowColumns): JsonObject {
  try {
    return JSON.parse(columns.body) as JsonObject;
  } catch {
    const { kind, tenant, id } = columns;
    const sentence = `The ${kind} row ${id} is damaged; it can be derived again from the records.`;
    throw new RuntimeError('STORE_CORRUPT', sentence, { tenant, kind, id });
  }
}

/** A row as its table holds it. Most are written again before they reach it, so the text is made when it is asked for. */
class NewColumns implements RowColumns {
  readonly kind: RowKind;
  readonly tenant: string;
  readonly id: string;
  readonly principal: string;
  readonly status: string;
  readonly ref: string | null;
  readonly updated_at: number;
  readonly version: number;
  readonly #body: JsonObject;
  #text: string | undefined;

  constructor({ kind, tenant, id, principal, status, ref, updatedAt, body }: Row, version: number) {
    this.kind = kind;
    this.tenant = tenant;
    this.id = id;
    this.principal = principal;
    this.status = status;
    this.ref = ref ?? null;
    this.updated_at = updatedAt;
    this.version = version;
    this.#body = body;
  }

  get body(): string {
    this.#text ??= JSON.stringify(this.#body);
    return this.#text;
  }
}

export function toColumns(row: Row, version: number): RowColumns {
  return new NewColumns(row, version);
}

/** STORE_CORRUPT when the body is not JSON. */
export function toRow(columns: RowColumns): StoredRow {
  const { kind, tenant, id, principal, status, ref, updated_at: updatedAt, version } = columns;
  const row = { kind, tenant, id, principal, status, updatedAt, body: readBody(columns), version };
  return ref === null ? row : { ...row, ref };
}

export function createRows(db: Connection): Rows {
  const findVersion = db.prepare('SELECT version FROM read_rows WHERE kind = ? AND tenant = ? AND id = ?');
  const find = db.prepare(`SELECT ${COLUMNS} FROM read_rows WHERE kind = ? AND tenant = ? AND id = ?`);
  const insertOf = forMany(
    db,
    (count) => `INSERT INTO read_rows (${COLUMNS}) VALUES ${repeated('(?, ?, ?, ?, ?, ?, ?, ?, ?)', count)}`,
  );
  // Says nothing of a ref that stays, so that its index stays too.
  const update = db.prepare(
    `UPDATE read_rows SET principal = ?, status = ?, updated_at = ?, version = ?, body = ?
     WHERE kind = ? AND tenant = ? AND id = ? AND ref IS ?`,
  );
  const remove = db.prepare('DELETE FROM read_rows WHERE kind = ? AND tenant = ? AND id = ?');

  const lists = createRowLists(db);

  return {
    version(kind, tenant, id) {
      return (findVersion.get([kind, tenant, id]) as { version: number } | undefined)?.version;
    },
    add(rows) {
      for (let from = 0; from < rows.length; from += MOST_AT_ONCE) {
        const some = rows.slice(from, from + MOST_AT_ONCE);
        insertOf(some.length).run(some.flatMap(valuesOf));
      }
    },
    write(row) {
      const { kind, tenant, id, principal, status, ref, updated_at: updatedAt, version, body } = row;
      const changed = [principal, status, updatedAt, version, body, kind, tenant, id, ref];
      if (update.run(changed).changes > 0) return;
      remove.run([kind, tenant, id]);
      insertOf(1).run(valuesOf(row));
    },
    find(kind, tenant, id) {
      const columns = find.get([kind, tenant, id]) as RowColumns | undefined;
      return columns === undefined ? undefined : toRow(columns);
    },
    list(query) {
      checkLimit(query.limit, LARGEST_PAGE);
      return makePage(lists.find(query).map(toRow), query.limit, ({ updatedAt, id }) =>
        encodeCursor([updatedAt, id]),
      );
    },
  };
}
