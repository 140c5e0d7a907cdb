// Owns what an operator takes out of the journal: the payloads of one piece of work, or all its records under a signed
// segment. Either takes its readable copies with it.
//
// T1  A copy goes before what it was made from, so that a crash in between leaves nothing readable behind.
// T2  Only work that has ended is taken, whole: its own chain last, so that what a crash left is found by it again.
// T3  Nothing is signed that does not verify from its first record on.
import { RuntimeError } from '../base/errors.ts';
import type { Clock, EpochMs } from '../base/clock.ts';
import { isoTime } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import { chainRecords, storyOf } from '../inspect/evidence.ts';
import { REMOVED } from '../inspect/effective.ts';
import { segmentRecord } from '../inspect/segments.ts';
import type { SegmentSigner } from '../inspect/segments.ts';
import { CHAIN_START, checkRecord } from '../store/chain.ts';
import type { ChainPoint } from '../store/chain.ts';
import type { ChainKey, RowWrite, Store, StoredRow } from '../store/contract.ts';

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

const ENDED: ReadonlySet<string> = new Set(['completed', 'closed', 'canceled', 'expired', 'error']);
/** Nothing of it runs; what goes on with it finds that its words are gone. */
const AT_REST: ReadonlySet<string> = new Set([...ENDED, 'open', 'escalated', 'suspended']);
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

async function storiesOf(store: Store, row: StoredRow): Promise<Story> {
  const sessions = await sessionsOf(store, row);
  const chains: ChainKey[] = [];
  for (const id of sessions) chains.push(...(await storyOf(store, row.tenant, id)).reverse());
  return { sessions, chains };
}

function assertIn(states: ReadonlySet<string>, row: StoredRow): void {
  if (states.has(row.status)) return;
  const remedy = row.status === REMOVED ? 'nothing of it is left' : 'cancel it first';
  throw new RuntimeError('CONFLICT', `The session ${row.id} is ${row.status}; ${remedy}.`, {
    session_id: row.id,
    status: row.status,
  });
}

/** Ended work of a tenant that nothing has happened to since; the sessions of nodes go with their workflows. */
export async function* endedBefore(store: Store, tenant: string, time: EpochMs): AsyncGenerator<StoredRow> {
  for (const status of ENDED) {
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? {} : { cursor };
      const page = await store.list({ kind: 'session', tenant, status, limit: PAGE, ...from });
      yield* page.items.filter(({ updatedAt, body }) => updatedAt < time && body.parent === undefined);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
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

/** Of a row that says whose session it was of, the session stays. */
function removedRow(row: StoredRow, at: EpochMs): RowWrite {
  const { kind, tenant, id, principal, body, ref } = row;
  const shown = kind === 'session' && typeof body.kind === 'string' ? { kind: body.kind } : {};
  const of = ref === undefined || kind === 'approval' ? {} : { ref };
  const left = { kind, tenant, id, principal, ...of, status: REMOVED, updatedAt: at };
  return { row: { ...left, body: { ...shown, removed_at: isoTime(at) } }, when: { version: row.version } };
}

/** The rows that were made from a chain's records: its own, and those of the calls, runs and escalations of a session. */
async function rowsMadeFrom(store: Store, { aggregate, tenant, id }: ChainKey): Promise<StoredRow[]> {
  if (aggregate !== 'session' && aggregate !== 'approval') return [];
  const own = await store.row(aggregate, tenant, id);
  const found = own === undefined ? [] : [own];
  if (aggregate === 'approval') return found;
  for (const kind of ['request', 'run', 'item'] as const) {
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? {} : { cursor };
      const page = await store.list({ kind, tenant, ref: id, limit: PAGE, ...from });
      found.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
  return found;
}

/** Removes every record of the work under segments that `signer` vouches for. Throws CONFLICT while it goes on. */
export async function removeWork(
  { store, clock, copies }: RetentionParts,
  row: StoredRow,
  by: { signer: SegmentSigner; reason: string },
): Promise<Taken> {
  assertIn(ENDED, row);
  const { sessions, chains } = await storiesOf(store, row);
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
  return taken;
}

function moved({ id }: ChainKey): RuntimeError {
  return new RuntimeError('CONFLICT', `${id} moved while it was being removed; look at it again.`, { id });
}

/** Erases every payload of the work; its records stay and verify. Throws CONFLICT while it goes on. */
export async function eraseWork(
  { store, clock, copies }: RetentionParts,
  row: StoredRow,
  reason: string,
): Promise<Taken> {
  assertIn(AT_REST, row);
  const { sessions, chains } = await storiesOf(store, row);
  for (const id of sessions) await copies.remove(id); // T1
  const taken: Taken = { sessions: sessions.length, chains: 0, records: 0 };
  for (const chain of chains) {
    const seqs: number[] = [];
    for await (const { header, evidence } of chainRecords(store, chain)) {
      if (evidence.state !== 'erased') seqs.push(header.seq);
    }
    if (seqs.length === 0) continue;
    await store.erase(chain, seqs, clock.now(), reason);
    taken.chains += 1;
    taken.records += seqs.length;
  }
  return taken;
}
