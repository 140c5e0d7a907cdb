// The floor's ledger: what a governed call has to leave behind, written by hand with nothing checked. The tables, indexes
// and pragmas are the product's; a record has a chained header, salted evidence in canonical order and the exact payload
// sealed with AES-256-GCM; beside it the row that lists are read from and the counter that a budget needs. One durable
// commit each, or, shared, one for all of a turn of the event loop. Heads, counts and keys stay in memory. `toFile`: the same
// bytes, shared likewise, appended to a file with no engine, no index and no counter.
import { createCipheriv, hash, randomBytes } from 'node:crypto';
import Database from 'libsql';
import { openFileGroup, openGroup } from './group.mjs';

const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = FULL',
  'secure_delete = ON',
  'wal_autocheckpoint = 4000',
  'journal_size_limit = 67108864',
];
const TABLES = `
CREATE TABLE IF NOT EXISTS chains (cid INTEGER PRIMARY KEY, tenant TEXT NOT NULL, aggregate TEXT NOT NULL, id TEXT NOT NULL,
  seq INTEGER NOT NULL, hash TEXT NOT NULL, UNIQUE (tenant, aggregate, id));
CREATE TABLE IF NOT EXISTS records (position INTEGER PRIMARY KEY, cid INTEGER NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,
  header TEXT NOT NULL, hash TEXT NOT NULL, salt TEXT, evidence TEXT, sealed BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS records_by_chain ON records (cid, seq);
CREATE TABLE IF NOT EXISTS read_rows (kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL, principal TEXT NOT NULL,
  status TEXT NOT NULL, ref TEXT, updated_at INTEGER NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS rows_by_id ON read_rows (kind, tenant, id);
CREATE INDEX IF NOT EXISTS rows_by_status ON read_rows (kind, tenant, status, updated_at DESC, id, principal);
CREATE INDEX IF NOT EXISTS rows_by_ref ON read_rows (ref) WHERE ref IS NOT NULL;
CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, value NUMERIC NOT NULL) WITHOUT ROWID;`;

const sha256 = (text) => hash('sha256', text, 'hex');

/** Canonical as long as keys are plain words and values are JSON. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `"${key}":${canonical(value[key])}`).join(',')}}`;
}

const KEY = randomBytes(32);

function seal(place, salt, text) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', KEY, nonce);
  cipher.setAAD(Buffer.from(place));
  return Buffer.concat([nonce, cipher.update(salt + text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

export function openLedger(path, { isShared = false, toFile = false } = {}) {
  const db = new Database(path);
  for (const pragma of PRAGMAS) db.prepare(`PRAGMA ${pragma}`).all([]);
  db.exec(TABLES);
  if (isShared) db.exec('PRAGMA synchronous = NORMAL');
  const alone = (work) => {
    db.exec('BEGIN IMMEDIATE');
    work();
    db.exec('COMMIT');
  };
  const commit = isShared ? openGroup(db, path) : alone;
  const file = toFile ? openFileGroup(`${path}.log`) : undefined;
  const session = 'ses_0123456789abcdefghjkmnpqrs';
  db.prepare('INSERT OR REPLACE INTO chains VALUES (1, ?, ?, ?, 0, ?)').run([
    'local',
    'session',
    session,
    '',
  ]);
  const record = db.prepare(
    'INSERT INTO records (cid, seq, type, header, hash, salt, evidence, sealed) VALUES (1, ?, ?, ?, ?, ?, ?, ?)',
  );
  const head = db.prepare('UPDATE chains SET seq = ?, hash = ? WHERE cid = 1');
  const open = db.prepare('INSERT INTO read_rows VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)');
  const move = db.prepare(
    'UPDATE read_rows SET status = ?, updated_at = ?, version = 2, body = ? WHERE kind = ? AND tenant = ? AND id = ?',
  );
  const count = db.prepare(
    'INSERT INTO counters VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );
  let end = { seq: 0, hash: '' };
  let calls = 0;

  return {
    /** One commit of call `id`, to be awaited where it is shared: its record with `evidence` and sealed `exact`, its row, and at its start its count. */
    append(type, id, status, evidence, exact) {
      const at = Date.now();
      const seq = end.seq + 1;
      const salts = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
      const shown = canonical(evidence);
      const sealed = canonical(exact);
      const chain = { tenant: 'local', aggregate: 'session', id: session };
      const commitments = {
        evidence: sha256(`${salts[0]}:${shown}`),
        sealed: sha256(`${salts[1]}:${sealed}`),
      };
      const header = canonical({ v: 1, chain, seq, type, at, epoch: 0, prev: end.hash, ...commitments });
      const bytes = seal(JSON.stringify([chain, seq]), salts[1], sealed);
      end = { seq, hash: sha256(header) };
      const body = JSON.stringify({
        tool: evidence.tool,
        session_id: session,
        decision: evidence.decision,
        at,
      });
      const { hash: last } = end;
      if (file !== undefined) return file([Buffer.from(header + last + salts[0] + shown + body), bytes]);
      return commit(() => {
        record.run([seq, type, header, last, salts[0], shown, bytes]);
        head.run([seq, last]);
        if (status === 'in_progress') {
          open.run(['request', 'local', id, 'os:0', status, session, at, body]);
          count.run([`local|${session}|calls`, ++calls]);
          count.run([`local|${session}|repeats|${commitments.sealed}`, 1]);
        } else {
          move.run([status, at, body, 'request', 'local', id]);
        }
      });
    },
  };
}
