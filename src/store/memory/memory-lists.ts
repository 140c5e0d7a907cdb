// Owns what is listed from a memory store: rows, chains, records over all chains, and timers to be taken.
import type { JsonObject } from '../../base/json.ts';
import type { Head, Page, RowOrder, RowQuery, Store, StoredRecord, StoredRow, Timer } from '../contract.ts';
import {
  checkLimit,
  decodeCursor,
  decodeOrdinal,
  encodeCursor,
  LARGEST_PAGE,
  LARGEST_SCAN,
  makePage,
} from '../cursor.ts';
import { readRecord } from '../stored-record.ts';
import type { MemoryRow, MemoryState, MemoryTimer } from './memory-state.ts';

/** As an engine compares text: by bytes, not by UTF-16 units. */
function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

type Placed = Pick<MemoryRow, 'updatedAt' | 'id'>;

function newestFirst(a: Placed, b: Placed): number {
  return b.updatedAt - a.updatedAt || compareText(a.id, b.id);
}

const ORDERS: Readonly<Record<RowOrder, typeof newestFirst>> = {
  newest: newestFirst,
  oldest: (a, b) => newestFirst(b, a),
};

export function toRow(row: MemoryRow): StoredRow {
  return { ...row, body: JSON.parse(row.body) as JsonObject };
}

export function listRows(state: MemoryState, query: RowQuery): Page<StoredRow> {
  checkLimit(query.limit, LARGEST_PAGE);
  const [updatedAt, id] = query.cursor === undefined ? [] : decodeCursor(query.cursor);
  const inOrder = ORDERS[query.order ?? 'newest'];
  const found = [...state.rows.values()]
    .filter((row) => row.kind === query.kind && row.tenant === query.tenant)
    .filter((row) => query.principal === undefined || row.principal === query.principal)
    .filter((row) => query.status === undefined || row.status === query.status)
    .filter((row) => query.ref === undefined || row.ref === query.ref)
    .filter((row) => updatedAt === undefined || id === undefined || inOrder(row, { updatedAt, id }) > 0)
    .sort(inOrder);
  const rows = found.slice(0, query.limit + 1).map(toRow);
  return makePage(rows, query.limit, ({ updatedAt, id }) => encodeCursor([updatedAt, id]));
}

export function listChains(state: MemoryState, query: Parameters<Store['chains']>[0]): Page<Head> {
  checkLimit(query.limit, LARGEST_SCAN);
  const after = decodeOrdinal(query.after);
  const found = [...state.chains.values()]
    .filter(({ end }) => end.handle > after)
    .filter(({ chain }) => query.tenant === undefined || chain.tenant === query.tenant)
    .filter(({ chain }) => query.aggregate === undefined || chain.aggregate === query.aggregate);
  const page = makePage(found, query.limit, (last) => String(last.end.handle));
  return { ...page, items: page.items.map(({ chain, end }) => ({ chain, seq: end.seq, hash: end.hash })) };
}

export function scanRecords(state: MemoryState, query: Parameters<Store['scan']>[0]): StoredRecord[] {
  checkLimit(query.limit, LARGEST_SCAN);
  return state.records
    .filter(({ removed, position }) => removed !== true && position > (query.after ?? 0))
    .filter(({ chain }) => query.tenant === undefined || chain.tenant === query.tenant)
    .filter(({ type }) => query.type === undefined || type === query.type)
    .slice(0, query.limit)
    .map((form) => readRecord(form.chain, form));
}

function isFor(timer: MemoryTimer, agent: string | undefined): boolean {
  const { agent_id: named } = JSON.parse(timer.payload) as JsonObject;
  return agent === undefined || named === undefined || named === agent;
}

interface TimerClaim {
  now: number;
  ms: number;
  limit: number;
  agent?: string | undefined;
}

export function takeTimers(state: MemoryState, claim: TimerClaim): Timer[] {
  checkLimit(claim.limit, LARGEST_SCAN);
  const due = [...state.timers.values()]
    .filter((timer) => timer.readyAt <= claim.now && isFor(timer, claim.agent))
    .sort((a, b) => a.readyAt - b.readyAt || compareText(a.tenant, b.tenant) || compareText(a.id, b.id));
  return due.slice(0, claim.limit).map((timer) => {
    timer.readyAt = claim.now + claim.ms;
    timer.epoch += 1;
    const { tenant, id, dueAt, epoch } = timer;
    return { tenant, id, dueAt, epoch, payload: JSON.parse(timer.payload) as JsonObject };
  });
}

export function oldestDue(
  state: MemoryState,
  tenant: string,
  now: number,
  agent?: string,
): number | undefined {
  const due = [...state.timers.values()].filter(
    (timer) => timer.tenant === tenant && timer.readyAt <= now && isFor(timer, agent),
  );
  return due.length === 0 ? undefined : Math.min(...due.map((timer) => timer.readyAt));
}
