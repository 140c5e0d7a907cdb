// Owns the connection to the engine: the few calls the other files need, typed so that nothing unsafe can be bound.
import Database from 'libsql';

/** No boolean: the driver ends the process on one. No NaN: it becomes NULL. Text never holds NUL (names.ts). */
export type SqlValue = string | number | null | Uint8Array;

export interface Statement {
  /** The first row, or undefined. Columns come as the engine holds them. */
  get(values: SqlValue[]): unknown;
  all(values: SqlValue[]): unknown[];
  run(values: SqlValue[]): { changes: number; lastInsertRowid: number | bigint };
}

export interface Connection {
  readonly inTransaction: boolean;
  exec(sql: string): void;
  /** Prepares once; the same text gives the same statement. */
  prepare(sql: string): Statement;
  /** The first column of the first row of a pragma. */
  pragma(text: string): unknown;
  close(): void;
}

export function firstColumn(row: unknown): unknown {
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
}

/** Bytes as the driver gives them (an ArrayBuffer) or null; anything else is damage and stays what it is. */
export function asBytes(value: unknown): unknown {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}

/** Opens the file; `busyMs` is how long one call may block the process while another holds the lock. */
export function connect(path: string, busyMs: number): Connection {
  const db = new Database(path, { timeout: busyMs });
  const prepared = new Map<string, Statement>();
  const prepare = (sql: string): Statement => {
    let statement = prepared.get(sql);
    if (statement === undefined) {
      // Always one array: the driver reads a lone object, a lone null too, as named parameters.
      statement = db.prepare<[SqlValue[]]>(sql);
      prepared.set(sql, statement);
    }
    return statement;
  };
  return {
    get inTransaction() {
      return db.inTransaction;
    },
    exec: (sql) => void db.exec(sql),
    prepare,
    pragma: (text) => firstColumn(db.prepare<[SqlValue[]]>(`PRAGMA ${text}`).all([])[0]),
    close: () => void db.close(),
  };
}
