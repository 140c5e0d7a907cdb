// Owns the reading of records, and the blanking of their payloads. Each record is judged on its own: a damaged one
// stops its own chain only (S4). What is found damaged is noted and, in a chain, thrown.
import { CHAIN_START } from '../chain.ts';
import type { ChainPoint } from '../chain.ts';
import type { ChainKey, StoredRecord } from '../contract.ts';
import type { DamageLog } from '../damage.ts';
import { removedUpTo, segmentRowId } from '../segment.ts';
import { damaged, readHeader, readRecord } from '../stored-record.ts';
import type { StoredForm } from '../stored-record.ts';
import type { Chains } from './chains.ts';
import { asBytes } from './connection.ts';
import type { Connection, SqlValue, Statement } from './connection.ts';

export interface ScanQuery {
  tenant?: string;
  type?: string;
  after?: number;
  limit: number;
}

export interface SealedRecord {
  header: StoredRecord['header'];
  sealed: unknown;
}

export interface Records {
  read(chain: ChainKey, from: number, limit: number): StoredRecord[];
  /** The header and the sealed bytes of one record; undefined when there is no such record. */
  sealed(chain: ChainKey, seq: number): SealedRecord | undefined;
  scan(query: ScanQuery): StoredRecord[];
  /** Seqs of a chain whose type is none of `except`, rising. */
  seqs(chain: ChainKey, except: readonly string[]): number[];
  /** Takes payload, salt and sealed bytes away from records of a chain. */
  erase(chain: ChainKey, seqs: number[]): void;
  /** Whether a chain has this very record. */
  has(chain: ChainKey, point: ChainPoint): boolean;
  /** Removes the records of a chain up to this one. */
  remove(chain: ChainKey, upTo: number): void;
}

interface Tools {
  db: Connection;
  chains: Chains;
  damage: DamageLog;
}

type Found = StoredForm & Omit<ChainKey, 'id'> & { chain_id: string };
/** The record before the first one read, its hash unknown when reading starts in the middle. */
type Before = Partial<ChainPoint> & { seq: number };

const COLUMNS = 'r.position, r.seq, r.header, r.hash, r.salt, r.evidence';
// A scan passes over damaged records; it reads on in steps until its page is full.
const SCAN_STEP = 200;

/** Runs `read`; damage it throws is noted with its chain. */
function noting<T>(chain: ChainKey, damage: DamageLog, read: () => T): T {
  try {
    return read();
  } catch (error) {
    damage.note((error as Error).message, chain);
    throw error;
  }
}

function decode(chain: ChainKey, form: StoredForm, damage: DamageLog): StoredRecord {
  const record = noting(chain, damage, () => readRecord(chain, form));
  if (record.evidence.state === 'unreadable') damage.note(`record ${form.seq}: payload unreadable`, chain);
  return record;
}

function refuse(chain: ChainKey, seq: number, what: string, damage: DamageLog): never {
  const error = damaged(chain, seq, what);
  damage.note(error.message, chain);
  throw error;
}

/** A record that is missing or does not follow its neighbour is damage too: a fold over it would be wrong. */
function checkPlace(chain: ChainKey, record: StoredRecord, before: Before, damage: DamageLog): void {
  const seq = before.seq + 1;
  if (record.header.seq !== seq) refuse(chain, seq, 'it is missing', damage);
  if (before.hash !== undefined && record.header.prev !== before.hash) {
    refuse(chain, seq, 'it does not follow the one before', damage);
  }
}

/** Where the kept records of a chain begin, by the note of its removal (S7); asked only when one is missing. */
function createRemoved(db: Connection): (chain: ChainKey) => ChainPoint | undefined {
  const find = db.prepare("SELECT body FROM read_rows WHERE kind = 'segment' AND tenant = ? AND id = ?");
  return (chain) => {
    const found = find.get([chain.tenant, segmentRowId(chain)]) as { body: string } | undefined;
    try {
      return found && removedUpTo(JSON.parse(found.body));
    } catch {
      return undefined;
    }
  };
}

function createReader({ db, chains, damage }: Tools): Records['read'] {
  const removed = createRemoved(db);
  /** What the first record read has to follow when it is not the one asked for. */
  const passed = (chain: ChainKey, before: Before, first: number): Before => {
    const cut = first === before.seq + 1 ? undefined : removed(chain);
    return cut !== undefined && cut.seq > before.seq && first === cut.seq + 1 ? cut : before;
  };
  const readFrom = db.prepare(
    `SELECT ${COLUMNS} FROM records r WHERE r.cid = ? AND r.seq >= ? ORDER BY r.seq LIMIT ?`,
  );
  return (chain, from, limit) => {
    const end = chains.end(chain);
    if (end === undefined) return [];
    const records: StoredRecord[] = [];
    let before: Before = from === 1 ? CHAIN_START : { seq: from - 1 };
    const forms = readFrom.all([end.handle, from, limit]) as StoredForm[];
    before = passed(chain, before, forms[0]?.seq ?? end.seq + 1);
    for (const form of forms) {
      const record = decode(chain, form, damage);
      checkPlace(chain, record, before, damage);
      before = { seq: record.header.seq, hash: record.hash };
      records.push(record);
    }
    if (records.length < limit && before.seq < end.seq) {
      refuse(chain, before.seq + 1, 'it is missing', damage);
    }
    return records;
  };
}

function scanStatement(db: Connection, query: ScanQuery): { statement: Statement; values: SqlValue[] } {
  const where: string[] = [];
  const values: SqlValue[] = [];
  for (const [column, value] of [
    ['r.tenant', query.tenant],
    ['r.type', query.type],
  ] as const) {
    if (value === undefined) continue;
    where.push(`${column} = ? AND `);
    values.push(value);
  }
  const sql = `SELECT ${COLUMNS}, c.tenant, c.aggregate, c.id AS chain_id
     FROM records r JOIN chains c ON c.cid = r.cid
     WHERE ${where.join('')}r.position > ? ORDER BY r.position LIMIT ?`;
  return { statement: db.prepare(sql), values };
}

function createScanner({ db, damage }: Tools): Records['scan'] {
  return (query) => {
    const { statement, values } = scanStatement(db, query);
    const records: StoredRecord[] = [];
    let after = query.after ?? 0;
    while (records.length < query.limit) {
      const wanted = Math.min(SCAN_STEP, query.limit - records.length);
      const step = statement.all([...values, after, wanted]) as Found[];
      for (const form of step) {
        after = form.position;
        const chain = { tenant: form.tenant, aggregate: form.aggregate, id: form.chain_id };
        try {
          records.push(decode(chain, form, damage));
        } catch {
          // Noted as damage; the records of other chains go on.
        }
      }
      if (step.length < wanted) break;
    }
    return records;
  };
}

export function createRecords(tools: Tools): Records {
  const { db, chains } = tools;
  const readSealed = db.prepare('SELECT seq, header, hash, sealed FROM records WHERE cid = ? AND seq = ?');
  const listSeqs = db.prepare('SELECT seq, type FROM records WHERE cid = ? ORDER BY seq');
  const hashAt = db.prepare('SELECT hash FROM records WHERE cid = ? AND seq = ?');
  const removeTo = db.prepare('DELETE FROM records WHERE cid = ? AND seq <= ?');
  const blank = db.prepare(
    'UPDATE records SET salt = NULL, evidence = NULL, sealed = NULL WHERE cid = ? AND seq = ?',
  );
  // No chain has the handle 0.
  const handleOf = (chain: ChainKey): number => chains.end(chain)?.handle ?? 0;

  return {
    read: createReader(tools),
    scan: createScanner(tools),
    sealed(chain, seq) {
      const found = readSealed.get([handleOf(chain), seq]);
      if (found === undefined) return undefined;
      const form = found as StoredForm & { sealed: unknown };
      const { header } = noting(chain, tools.damage, () => readHeader(chain, form));
      return { header, sealed: asBytes(form.sealed) };
    },
    seqs: (chain, except) =>
      (listSeqs.all([handleOf(chain)]) as { seq: number; type: string }[])
        .filter(({ type }) => !except.includes(type))
        .map(({ seq }) => seq),
    erase(chain, seqs) {
      const handle = handleOf(chain);
      for (const seq of seqs) blank.run([handle, seq]);
    },
    has(chain, { seq, hash }) {
      const found = hashAt.get([handleOf(chain), seq]) as { hash: string } | undefined;
      return found?.hash === hash;
    },
    remove: (chain, upTo) => void removeTo.run([handleOf(chain), upTo]),
  };
}
