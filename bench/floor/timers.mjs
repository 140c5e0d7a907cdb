// The floor of wakeups: rows with a time, and one loop that takes each due one in a durable commit of its own.
import Database from 'libsql';

export function openTimers(path) {
  const db = new Database(path);
  for (const pragma of [
    'journal_mode = WAL',
    'synchronous = FULL',
    'secure_delete = ON',
    'wal_autocheckpoint = 4000',
  ])
    db.prepare(`PRAGMA ${pragma}`).all([]);
  db.exec(`CREATE TABLE timers (
    id INTEGER PRIMARY KEY, due_at INTEGER NOT NULL, fired INTEGER NOT NULL DEFAULT 0, payload TEXT NOT NULL);
    CREATE INDEX by_time ON timers (fired, due_at);`);
  const insert = db.prepare('INSERT INTO timers (due_at, payload) VALUES (?, ?)');
  const due = db.prepare(
    'SELECT id, payload FROM timers WHERE fired = 0 AND due_at <= ? ORDER BY due_at LIMIT 1',
  );
  const take = db.prepare('UPDATE timers SET fired = 1 WHERE id = ?');
  return {
    fill(count, dueAt) {
      db.exec('BEGIN');
      for (let at = 0; at < count; at++) insert.run([dueAt, JSON.stringify({ do: 'wake', at })]);
      db.exec('COMMIT');
    },
    /** How many were taken. */
    takeAll(now) {
      for (let taken = 0; ; taken++) {
        const [found] = due.all([now]);
        if (found === undefined) return taken;
        JSON.parse(found.payload);
        take.run([found.id]);
      }
    },
    close: () => db.close(),
  };
}
