// Owns the tables, their version and the settings of a connection.
import { RuntimeError } from '../../base/errors.ts';
import type { Connection } from './connection.ts';
import { APPLICATION_ID, futureVersion, notOurs } from './file.ts';

export const SCHEMA_VERSION = 5;

// Each index costs a page or two per commit, so there are few: a scan walks all records in order from its cursor, also
// that of one type; a list of one principal walks an index that holds the principal, without touching the rows of others;
// and a list of one ref sorts, because its rows are few and its index then stays untouched when a row changes.
const REDO = 'CREATE TABLE redo (id INTEGER PRIMARY KEY, entry TEXT NOT NULL);';
const TABLES: string = `${REDO}
CREATE TABLE chains (
  cid INTEGER PRIMARY KEY, tenant TEXT NOT NULL, aggregate TEXT NOT NULL, id TEXT NOT NULL,
  seq INTEGER NOT NULL, hash TEXT NOT NULL, epoch INTEGER NOT NULL, UNIQUE (tenant, aggregate, id)
);
CREATE TABLE records (
  position INTEGER PRIMARY KEY, cid INTEGER NOT NULL, seq INTEGER NOT NULL, tenant TEXT NOT NULL,
  type TEXT NOT NULL, header TEXT NOT NULL, hash TEXT NOT NULL, salt TEXT, evidence TEXT, sealed BLOB
);
CREATE UNIQUE INDEX records_by_chain ON records (cid, seq);
CREATE TABLE snapshots (
  cid INTEGER PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL, state BLOB NOT NULL
);
CREATE TABLE read_rows (
  kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL, principal TEXT NOT NULL, status TEXT NOT NULL,
  ref TEXT, updated_at INTEGER NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE UNIQUE INDEX rows_by_id ON read_rows (kind, tenant, id);
CREATE INDEX rows_by_status ON read_rows (kind, tenant, status, updated_at DESC, id, principal);
CREATE INDEX rows_by_ref ON read_rows (ref) WHERE ref IS NOT NULL;
CREATE TABLE counters (key TEXT PRIMARY KEY, value NUMERIC NOT NULL) WITHOUT ROWID;
CREATE TABLE leases (
  key TEXT PRIMARY KEY, owner TEXT NOT NULL, epoch INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE timers (
  tenant TEXT NOT NULL, id TEXT NOT NULL, due_at INTEGER NOT NULL, ready_at INTEGER NOT NULL,
  owner TEXT NOT NULL, epoch INTEGER NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (tenant, id)
);
CREATE INDEX timers_by_ready ON timers (ready_at);
CREATE TABLE blobs (
  tenant TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, bytes BLOB, PRIMARY KEY (tenant, key)
);
CREATE TABLE probes (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
`;

/** S1: a commit is on disk when COMMIT returns, which this build's default may not promise; a writer flushes by itself. */
export function configure(db: Connection, path: string): void {
  if (db.pragma('journal_mode = WAL') !== 'wal') {
    const sentence = `The file system of ${path} cannot hold the write-ahead log.`;
    throw new RuntimeError('STORE_UNAVAILABLE', sentence, { file: path });
  }
  db.pragma('synchronous = FULL');
  // Erased payloads must not stay in freed space.
  db.pragma('secure_delete = ON');
  // The default copies the log back every few dozen commits; the same pages are then copied once in many commits.
  db.pragma('wal_autocheckpoint = 4000');
  db.pragma('journal_size_limit = 67108864');
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** Makes the tables in an empty file; refuses another product's file and a newer version. */
export function ensureSchema(db: Connection, path: string): void {
  if (number(db.pragma('user_version')) === SCHEMA_VERSION && isOurs(db)) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    // Read again: another process may have made the tables while we waited.
    const version = number(db.pragma('user_version'));
    if (version > SCHEMA_VERSION) throw futureVersion(path, version, SCHEMA_VERSION);
    if (version === 0 && number(db.pragma('schema_version')) === 0) {
      db.exec(TABLES);
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    } else if (!isOurs(db)) {
      throw notOurs(path);
    } else if (version < SCHEMA_VERSION) {
      if (version === 1) db.exec(REDO);
      // Version 3 keeps the ends of chains in the redo log, 4 writes its rows shorter and 5 keeps leases there: older programs
      // would misread them.
      db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function isOurs(db: Connection): boolean {
  return db.pragma('application_id') === APPLICATION_ID;
}
