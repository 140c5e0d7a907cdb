// Owns what an operator takes out of the journal: the payloads of one piece of work, or all its records under a signed
// segment. Either takes its readable copies with it.
//
// T1  A copy goes before what it was made from, so that a crash in between leaves nothing readable behind; and once more
//     afterwards, because another process may have made one in between.
// T2  Only work that has ended is taken, whole: its own chain last, so that what a crash left is found by it again.
// T3  Nothing is signed that does not verify from its first record on.
// T4  What goes on with erased work finds nothing of it: a turn that was under way has nothing to add to.
import { RuntimeError } from '../base/errors.ts';
import type { Clock, EpochMs } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import { chainRecords } from '../inspect/evidence.ts';
import { effectiveStatus } from '../inspect/effective.ts';
import { segmentRecord } from '../inspect/segments.ts';
import type { SegmentSigner } from '../inspect/segments.ts';
import { CHAIN_START, checkRecord } from '../store/chain.ts';
import type { ChainPoint } from '../store/chain.ts';
import type { ChainKey, Store, StoredRow } from '../store/contract.ts';
import { LASTING_TYPES } from '../store/erasure.ts';
import { turnCounter } from '../pack/turn/prepare.ts';
import { AT_REST, goesOn, hasEnded } from './ended-work.ts';
import { chainsOf, erasedRows, isOpenApproval, removedRow, rowsMadeFrom } from './made-rows.ts';

export interface RetentionParts {
  store: Store;
  clock: Clock;
  copies: { remove(sessionId: string): Promise<void> };
}

export interface Taken {
  sessions: number;
  chains: number;
  records: number;
}

const PAGE = 200;

/** The ids of the sessions that belong to a row: its own last, those of a workflow's nodes before it. */
async function sessionsOf(store: Store, row: StoredRow): Promise<string[]> {
  const found = new Set<string>();
  const chain: ChainKey = { tenant: row.tenant, aggregate: 'session', id: row.id };
  if (row.body.kind === 'workflow') {
    for await (const { header, evidence } of chainRecords(store, chain)) {
      if (header.type !== 'node_started' && header.type !== 'compensation_started') continue;
      // After an erasure only the rows still say whose a session is.
      if (evidence.state !== 'present') return [...(await nodeRows(store, row)), row.id];
      const id = evidence.value.session_id;
      if (typeof id === 'string') found.add(id);
    }
  }
  return [...found, row.id];
}

async function nodeRows(store: Store, { tenant, principal, id }: StoredRow): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await store.list({ kind: 'session', tenant, principal, limit: PAGE, ...from });
    for (const { id: session, body } of page.items) {
      if (isObject(body.parent) && body.parent.workflow_id === id) found.push(session);
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

interface Story {
  sessions: string[];
  /** Approvals before their session, the row's own chain last (T2). */
  chains: ChainKey[];
}

/** Of calls that name no session, an approval counts in the sessions that follow too. */
function isInLine({ body }: StoredRow): boolean {
  return body.kind === 'default';
}

async function rowsOfAll(store: Store, chains: readonly ChainKey[]): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for (const chain of chains) rows.push(...(await rowsMadeFrom(store, chain)));
  return rows;
}

async function storiesOf(store: Store, row: StoredRow): Promise<Story> {
  const sessions = await sessionsOf(store, row);
  const chains: ChainKey[] = [];
  for (const id of sessions) {
    const [own, ...approvals] = await chainsOf(store, row.tenant, id);
    chains.push(...approvals, ...(own === undefined ? [] : [own]));
  }
  return { sessions, chains };
}

/** T3: where the chain ends, or why it must stay. Undefined: nothing of it is left. */
async function soundEnd(
  store: Store,
  chain: ChainKey,
): Promise<(ChainPoint & { records: number }) | undefined> {
  let end = CHAIN_START;
  let records = 0;
  for await (const record of chainRecords(store, chain)) {
    const isFirstLeft = records === 0 && record.header.seq > 1;
    const fault = checkRecord(record, isFirstLeft ? undefined : end);
    if (fault !== undefined) {
      throw new RuntimeError('STORE_CORRUPT', `Record ${end.seq + 1} of ${chain.id} is damaged; it stays.`, {
        id: chain.id,
        seq: end.seq + 1,
        what: fault,
      });
    }
    end = { seq: record.header.seq, hash: record.hash };
    records += 1;
  }
  return records === 0 ? undefined : { ...end, records };
}

/** What a call comes to would be written behind the erasure. */
function assertStill(rows: readonly StoredRow[]): void {
  const call = rows.find(({ kind, status }) => kind === 'request' && status === 'in_progress');
  if (call === undefined) return;
  const text = `The call ${call.id} is under way; wait for its end, or cancel the session first.`;
  throw new RuntimeError('CONFLICT', text, { request_id: call.id, status: call.status });
}

/** What still waits for an answer, or for its use, could never be used once its words are gone. */
function assertAnswered(rows: readonly StoredRow[], now: EpochMs): void {
  for (const row of rows) {
    if (row.kind !== 'approval' || !isOpenApproval(effectiveStatus(row, now))) continue;
    const text = `The approval ${row.id} is ${row.status}; reject it, or wait until it has been used or has expired.`;
    throw new RuntimeError('CONFLICT', text, { approval_id: row.id, status: row.status });
  }
}

/** The rows go before the records that they were made from, as copies do (T1), with the turns that are under way (T4). */
async function eraseRows(store: Store, rows: readonly StoredRow[], at: EpochMs): Promise<void> {
  const left = erasedRows(rows, at);
  for (let from = 0; from < left.length; from += PAGE) {
    const page = left.slice(from, from + PAGE);
    const counters = page
      .filter(({ row }) => row.kind === 'session')
      .map(({ row }) => ({ key: turnCounter(row), add: 1 }));
    const done = await store.commit({ rows: page, counters });
    if (!done.ok) throw moved({ id: page[0]?.row.id ?? '' });
  }
}

/** Removes every record of the work under segments that `signer` vouches for. Throws CONFLICT while it goes on. */
export async function removeWork(
  { store, clock, copies }: RetentionParts,
  row: StoredRow,
  by: { signer: SegmentSigner; reason: string },
): Promise<Taken> {
  if (!(await hasEnded(store, row, clock.now()))) throw goesOn(row);
  const { sessions, chains } = await storiesOf(store, row);
  if (isInLine(row)) assertAnswered(await rowsOfAll(store, chains), clock.now());
  for (const id of sessions) await copies.remove(id); // T1
  const taken: Taken = { sessions: sessions.length, chains: 0, records: 0 };
  for (const chain of chains) {
    const end = await soundEnd(store, chain);
    if (end === undefined) continue;
    const closedAt = clock.now();
    const segment = { chain, through: end.seq, hash: end.hash, closedAt };
    const rows = await rowsMadeFrom(store, chain);
    const isDone = await store.retire(chain, end, closedAt, {
      appends: [segmentRecord(segment, by.signer, by.reason)],
      rows: rows.map((one) => removedRow(one, closedAt)),
    });
    if (!isDone || (await store.head(chain))?.seq !== end.seq) throw moved(chain);
    taken.chains += 1;
    taken.records += end.records;
  }
  for (const id of sessions) await copies.remove(id); // T1
  return taken;
}

function moved({ id }: Pick<ChainKey, 'id'>): RuntimeError {
  return new RuntimeError('CONFLICT', `${id} moved while it was being removed; look at it again.`, { id });
}

/** Erases every payload of the work, and what its rows quote; its records stay and verify. Throws CONFLICT while it goes on or
 * waits for an answer. */
export async function eraseWork(
  { store, clock, copies }: RetentionParts,
  row: StoredRow,
  reason: string,
): Promise<Taken> {
  const isOver = await hasEnded(store, row, clock.now());
  if (!isOver && !AT_REST.has(row.status)) throw goesOn(row);
  const { sessions, chains } = await storiesOf(store, row);
  const rows = await rowsOfAll(store, chains);
  if (!isOver) assertStill(rows);
  if (!isOver || isInLine(row)) assertAnswered(rows, clock.now());
  for (const id of sessions) await copies.remove(id); // T1
  await eraseRows(store, rows, clock.now());
  const taken: Taken = { sessions: sessions.length, chains: 0, records: 0 };
  for (const chain of chains) {
    const seqs: number[] = [];
    for await (const { header, evidence } of chainRecords(store, chain)) {
      if (evidence.state !== 'erased' && !LASTING_TYPES.includes(header.type)) seqs.push(header.seq);
    }
    if (seqs.length === 0) continue;
    await store.erase(chain, seqs, clock.now(), reason);
    taken.chains += 1;
    taken.records += seqs.length;
  }
  for (const id of sessions) await copies.remove(id); // T1
  return taken;
}
