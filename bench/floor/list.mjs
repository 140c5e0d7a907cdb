// The floor of a list: one table with the index it needs, and the select that walks it.
import Database from 'libsql';

export function openList(path) {
  const db = new Database(path);
  for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'secure_delete = ON']) {
    db.prepare(`PRAGMA ${pragma}`).all([]);
  }
  db.exec(`CREATE TABLE sessions (
    id TEXT PRIMARY KEY, principal TEXT NOT NULL, status TEXT NOT NULL, updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE INDEX by_status ON sessions (status, updated_at DESC);`);
  const insert = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, 1, ?)');
  const newest = db.prepare('SELECT * FROM sessions WHERE status = ? ORDER BY updated_at DESC LIMIT ?');
  return {
    fill(rows) {
      db.exec('BEGIN');
      for (const row of rows) {
        insert.run([row.id, row.principal, row.status, row.updatedAt, JSON.stringify(row.body)]);
      }
      db.exec('COMMIT');
    },
    newest: (status, limit) => newest.all([status, limit]),
    close: () => db.close(),
  };
}
