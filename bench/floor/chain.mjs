// The floor's journal: hash-chained rows in libsql with the product's pragmas, one durable commit an append. A head in
// memory, no locks, no sealing, no read model.
import { createHash } from 'node:crypto';
import Database from 'libsql';

const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = FULL',
  'secure_delete = ON',
  'wal_autocheckpoint = 4000',
  'journal_size_limit = 67108864',
];

export function openChain(path) {
  const db = new Database(path);
  for (const pragma of PRAGMAS) db.prepare(`PRAGMA ${pragma}`).all([]);
  db.exec(`CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, chain TEXT NOT NULL, type TEXT NOT NULL, text TEXT NOT NULL, hash TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS heads (id TEXT PRIMARY KEY, status TEXT NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;`);
  const insert = db.prepare('INSERT INTO events (chain, type, text, hash) VALUES (?, ?, ?, ?)');
  const move = db.prepare('INSERT OR REPLACE INTO heads (id, status, hash) VALUES (?, ?, ?)');
  const heads = new Map();
  let written = 0;
  return {
    /** One commit: the event, linked to the one before, and where its chain stands. */
    append(chain, type, body) {
      const text = JSON.stringify({ prev: heads.get(chain) ?? '', chain, type, at: Date.now(), body });
      const hash = createHash('sha256').update(text).digest('hex');
      db.exec('BEGIN IMMEDIATE');
      insert.run([chain, type, text, hash]);
      move.run([chain, type, hash]);
      db.exec('COMMIT');
      heads.set(chain, hash);
      written++;
    },
    written: () => written,
    close: () => db.close(),
  };
}
