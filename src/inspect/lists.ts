// Owns the pages of requests, sessions, approvals and capability sessions. A page is cut from the stream of what the filter keeps, never from
// what the store found before filtering.
// P1  A page is shorter than its limit only at the end, or after MOST_LOOKED rows were looked at; then it has a cursor.
import type { EpochMs } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { ApprovalSubject } from '../kernel/approvals/approval.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Page, RowQuery, Store, StoredRow } from '../store/contract.ts';
import { encodeCursor } from '../store/cursor.ts';
import { rowAt, storedStatuses } from './effective.ts';
import { rowView } from './row-view.ts';
import { checkStatus } from './statuses.ts';
import { checkedLimit, mayRead, ownRows } from './visible.ts';
import type { PageQuery } from './visible.ts';

export type Listed = 'request' | 'session' | 'approval' | 'capability_session';

export interface Listing {
  items: JsonObject[];
  next_cursor?: string;
}

export interface ListSource {
  store: Store;
  caller: Caller;
  now: EpochMs;
}

const CHUNK = 200;
const MOST_LOOKED = 5000;

type Filter = NonNullable<PageQuery['filter']>;

/** Of an approval that was removed nothing is left. */
function subjectOf(row: StoredRow): ApprovalSubject | undefined {
  return (row.body as unknown as { subject?: ApprovalSubject }).subject;
}

function toolOf(kind: Listed, row: StoredRow): unknown {
  return kind === 'approval' ? subjectOf(row)?.tool : row.body.tool;
}

/** What the store's query cannot say of a row as it is now. */
function keeps(kind: Listed, filter: Filter): ((row: StoredRow) => boolean) | undefined {
  const { status, session_id: session, tool } = filter;
  const tests: ((row: StoredRow) => boolean)[] = [];
  if (tool !== undefined) tests.push((row) => toolOf(kind, row) === tool);
  if (status !== undefined && storedStatuses(kind, status) !== undefined) {
    tests.push((row) => row.status === status);
  }
  if (kind === 'approval' && session !== undefined) {
    tests.push((row) => subjectOf(row)?.sessionId === session);
  }
  return tests.length === 0 ? undefined : (row) => tests.every((test) => test(row));
}

/** One query, or one for each status under which a row may be stored. */
function queriesOf(caller: Caller, kind: Listed, filter: Filter): Omit<RowQuery, 'limit'>[] {
  const { status, session_id: session } = filter;
  const base = {
    kind,
    ...ownRows(caller),
    ...(kind === 'request' && session !== undefined ? { ref: session } : {}),
  };
  if (status === undefined) return [base];
  return (storedStatuses(kind, status) ?? [status]).map((one) => ({ ...base, status: one }));
}

async function* rowsOf(
  store: Store,
  query: Omit<RowQuery, 'limit'>,
): AsyncGenerator<StoredRow, void, undefined> {
  let cursor = query.cursor;
  do {
    const page = await store.list({ ...query, limit: CHUNK, ...(cursor === undefined ? {} : { cursor }) });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

function isNewer(a: StoredRow, b: StoredRow): boolean {
  if (a.updatedAt !== b.updatedAt) return a.updatedAt > b.updatedAt;
  return Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)) < 0;
}

/** Several streams in the order of one: each row's place says where all of them go on. */
async function* merged(
  streams: AsyncGenerator<StoredRow, void, undefined>[],
): AsyncGenerator<StoredRow, void, undefined> {
  const heads = await Promise.all(streams.map(async (stream) => ({ stream, next: await stream.next() })));
  for (;;) {
    let first: { stream: (typeof streams)[number]; row: StoredRow; at: number } | undefined;
    for (const [at, { stream, next }] of heads.entries()) {
      if (next.done === true) continue;
      if (first === undefined || isNewer(next.value, first.row)) first = { stream, row: next.value, at };
    }
    if (first === undefined) return;
    yield first.row;
    heads[first.at] = { stream: first.stream, next: await first.stream.next() };
  }
}

async function* asOfNow(
  { store, now }: ListSource,
  rows: AsyncIterable<StoredRow>,
): AsyncGenerator<StoredRow, void, undefined> {
  for await (const row of rows) yield rowAt(store, row, now);
}

function placeOf(row: StoredRow): string {
  return encodeCursor([row.updatedAt, row.id]);
}

/** Cuts one page from the stream of kept rows (P1). */
async function cutPage(
  rows: AsyncIterable<StoredRow>,
  limit: number,
  keep: (row: StoredRow) => boolean,
): Promise<Page<StoredRow>> {
  const items: StoredRow[] = [];
  let looked = 0;
  let last: StoredRow | undefined;
  for await (const row of rows) {
    const isFull = items.length === limit;
    const isKept = keep(row);
    if (last !== undefined && ((isFull && isKept) || looked >= MOST_LOOKED)) {
      return { items, nextCursor: placeOf(last) };
    }
    looked += 1;
    if (isFull) continue; // looks on only to know whether there is more
    last = row;
    if (isKept) items.push(row);
  }
  return { items };
}

async function oneSession({ store, caller }: ListSource, filter: Filter): Promise<Page<StoredRow>> {
  const row = await store.row('session', caller.tenant, filter.session_id ?? '');
  const isKept =
    row !== undefined &&
    mayRead(caller, row) &&
    (filter.status === undefined || row.status === filter.status);
  return { items: isKept ? [row] : [] };
}

function refuseFilters(filter: Filter): void {
  for (const key of ['tool', 'session_id'] as const) {
    if (filter[key] === undefined) continue;
    const field = `/filter/${key}`;
    throw new RuntimeError('INVALID_INPUT', `${field}: a capability session serves many`, { field });
  }
}

/** A page of rows, newest first. Throws INVALID_INPUT for a limit out of range or a filter that means nothing here. */
async function rowPage(source: ListSource, kind: Listed, query: PageQuery): Promise<Page<StoredRow>> {
  const { store, caller, now } = source;
  const { filter = {}, cursor } = query;
  const limit = checkedLimit(query.limit);
  checkStatus(kind, filter.status);
  if (kind === 'session') {
    if (filter.tool !== undefined) {
      throw new RuntimeError('INVALID_INPUT', '/filter/tool: a session has no tool', {
        field: '/filter/tool',
      });
    }
    if (filter.session_id !== undefined) return oneSession(source, filter);
  }
  if (kind === 'capability_session') refuseFilters(filter);
  const from = cursor === undefined ? {} : { cursor };
  const queries = queriesOf(caller, kind, filter).map((one) => ({ ...one, ...from }));
  const keep = keeps(kind, filter);
  const [only] = queries;
  if (keep === undefined && only !== undefined) {
    const { items, ...more } = await store.list({ ...only, limit });
    return { items: await Promise.all(items.map((row) => rowAt(store, row, now))), ...more };
  }
  const streams = queries.map((one) => rowsOf(store, one));
  return cutPage(asOfNow(source, merged(streams)), limit, keep ?? (() => true));
}

/** The caller's newest rows of a kind as they were written, as many as one look may cost. */
export async function* newestRows(
  { store, caller }: ListSource,
  kind: Listed,
): AsyncGenerator<StoredRow, void, undefined> {
  let looked = 0;
  for await (const row of rowsOf(store, { kind, ...ownRows(caller) })) {
    if (looked >= MOST_LOOKED) return;
    looked += 1;
    yield row;
  }
}

/** A page as readers see it. */
export async function listPage(source: ListSource, kind: Listed, query: PageQuery): Promise<Listing> {
  const page = await rowPage(source, kind, query);
  return {
    items: page.items.map((row) => rowView(kind, row, source.now)),
    ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
  };
}
