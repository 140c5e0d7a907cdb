// Owns the answer to "what happened here": one item with its state, timeline, decisions, receipts and links.
import type { EpochMs } from '../base/clock.ts';
import type { JsonObject } from '../base/json.ts';
import type { Caller } from '../kernel/identity.ts';
import type { ChainKey, Page, Store, StoredRecord, StoredRow } from '../store/contract.ts';
import { capabilitySessionView } from './capability-session-view.ts';
import { rowAt } from './effective.ts';
import { failureView } from './failure.ts';
import { runRecord } from './run-record.ts';
import { recordView, refusedIn, sessionView, split } from './views.ts';
import { rowView } from './row-view.ts';
import { newestRows } from './lists.ts';
import { mayRead, notFound, visibleRow } from './visible.ts';

export interface InspectParts {
  store: Store;
  now: EpochMs;
}

export interface InspectionView {
  kind: string;
  id: string;
  state: JsonObject;
  timeline: JsonObject[];
  decisions: JsonObject[];
  receipts: JsonObject[];
  links: JsonObject;
}

// A timeline is read by a person; whoever needs every record exports the evidence.
const MAX_LINES = 500;
const PAGE = 200;

async function records(
  store: Store,
  chain: ChainKey,
  keep: (one: StoredRecord) => boolean,
): Promise<StoredRecord[]> {
  const kept: StoredRecord[] = [];
  for (let from = 1; kept.length < MAX_LINES;) {
    const page = await store.read(chain, from, PAGE);
    kept.push(...page.filter(keep));
    from = (page.at(-1)?.header.seq ?? 0) + 1;
    if (page.length < PAGE) break;
  }
  return kept.slice(0, MAX_LINES);
}

function valueOf(record: StoredRecord, key: string): unknown {
  return record.evidence.state === 'present' ? record.evidence.value[key] : undefined;
}

interface Subject {
  kind: string;
  id: string;
  state: JsonObject;
  links: JsonObject;
}

function inspection({ kind, id, state, links }: Subject, found: StoredRecord[]): InspectionView {
  const timeline = found.map(recordView);
  return { kind, id, state, timeline, ...split(timeline), links };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The different ids that records carry under a key, in order. */
function idsIn(found: readonly StoredRecord[], key: string): string[] {
  return [...new Set(found.map((one) => textOf(valueOf(one, key))).filter((id) => id !== ''))];
}

/** The calls that a turn refused as it asked for them. */
function refusedBy({ evidence }: StoredRecord): string[] {
  return evidence.state === 'present' ? refusedIn(evidence.value).map((one) => textOf(one.tool_call_id)) : [];
}

/** The same of records whose lines say more than their payloads do at the top. */
function idsTold(found: readonly StoredRecord[], key: string): string[] {
  return [...new Set(found.map((one) => textOf(recordView(one)[key])).filter((id) => id !== ''))];
}

/** Where a record stands: chain and number. */
function placesOf(found: readonly StoredRecord[]): string[] {
  return found.map(({ header: { chain, seq } }) => `${chain.aggregate}/${chain.id}#${seq}`);
}

async function inspectRequest(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await rowAt(store, await visibleRow(store, caller, 'request', id), now);
  const session = row.ref ?? textOf(row.body.session_id);
  const chain: ChainKey = { tenant: row.tenant, aggregate: 'session', id: session };
  const found = await records(
    store,
    chain,
    (one) =>
      valueOf(one, 'call_id') === id || valueOf(one, 'request_id') === id || refusedBy(one).includes(id),
  );
  const links: JsonObject = {
    session_id: session,
    run_id: row.body.run_id ?? null,
    approval_ids: idsIn(found, 'approval_id'),
    capability_session_ids: idsIn(found, 'capability_session_id'),
    records: placesOf(found),
  };
  const view = inspection({ kind: 'request', id, state: rowView('request', row, now), links }, found);
  // A turn may have refused others beside this one.
  return { ...view, decisions: view.decisions.filter(({ call_id: of }) => of === null || of === id) };
}

async function inspectApproval(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'approval', id);
  const found = await records(store, { tenant: row.tenant, aggregate: 'approval', id }, () => true);
  const view = rowView('approval', row, now);
  const links: JsonObject = {
    request_id: view.tool_call_id ?? null,
    session_id: view.session_id ?? null,
    run_id: view.run_id ?? null,
  };
  return inspection({ kind: 'approval', id, state: view, links }, found);
}

const MOST_LINKS = 200;

async function rowsOf(store: Store, kind: 'request' | 'run', session: StoredRow): Promise<Page<StoredRow>> {
  return store.list({ kind, tenant: session.tenant, ref: session.id, limit: MOST_LINKS });
}

/** A direct call's run has no row of its own: it is known by its request. */
function runIds(runs: readonly StoredRow[], requests: readonly StoredRow[]): string[] {
  const all = [...runs.map((one) => one.id), ...requests.map((one) => textOf(one.body.run_id))];
  return [...new Set(all.filter((id) => id !== ''))];
}

async function inspectSession({ store }: InspectParts, caller: Caller, id: string): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'session', id);
  const found = await records(store, { tenant: row.tenant, aggregate: 'session', id }, () => true);
  const [runs, requests] = await Promise.all([rowsOf(store, 'run', row), rowsOf(store, 'request', row)]);
  const isCut = runs.nextCursor !== undefined || requests.nextCursor !== undefined;
  const links: JsonObject = {
    run_ids: runIds(runs.items, requests.items),
    trace_ids: idsIn(found, 'trace_id'),
    request_ids: requests.items.map((one) => one.id),
    approval_ids: idsIn(found, 'approval_id'),
    capability_session_ids: idsIn(found, 'capability_session_id'),
    // Of a long session these are the newest; the list of its requests, page by page, has the rest.
    ...(isCut ? { newest_only: true } : {}),
  };
  return inspection({ kind: 'session', id, state: sessionView(row), links }, found);
}

/** In the same millisecond a request follows the call that waits for it, and all else about an approval comes first. */
function tie(one: StoredRecord): number {
  if (one.header.chain.aggregate !== 'approval') return 0;
  return one.header.type === 'approval_requested' ? 1 : -1;
}

/** With what happened to its approvals, which lie on chains of their own, by time. */
async function withApprovals(store: Store, tenant: string, own: StoredRecord[]): Promise<StoredRecord[]> {
  const read = (id: string): Promise<StoredRecord[]> =>
    records(store, { tenant, aggregate: 'approval', id }, () => true);
  const found = (await Promise.all(idsIn(own, 'approval_id').map(read))).flat();
  return [...own, ...found].sort((a, b) => a.header.at - b.header.at || tie(a) - tie(b));
}

const DIRECT_STATUS: Readonly<Record<string, string>> = {
  done: 'success',
  tool_error: 'failed',
  waiting_approval: 'waiting_for_approval',
  unknown: 'blocked_on_reconciliation',
};

interface RunPlace {
  session: string;
  state: JsonObject;
}

/** The run of a direct call, found by its request among the caller's newest. */
async function directRun({ store, now }: InspectParts, caller: Caller, id: string): Promise<RunPlace> {
  for await (const row of newestRows({ store, caller, now }, 'request')) {
    if (row.body.run_id !== id) continue;
    const { trace_id: trace, session_id: session } = row.body;
    const { status: stands } = await rowAt(store, row, now);
    const status = DIRECT_STATUS[stands] ?? stands;
    return {
      session: textOf(session),
      state: { status, principal_id: row.principal, tenant_id: row.tenant, trace_id: trace ?? null },
    };
  }
  throw notFound('run', id);
}

async function placeOfRun(parts: InspectParts, caller: Caller, id: string): Promise<RunPlace> {
  const row = await parts.store.row('run', caller.tenant, id);
  if (row === undefined) return directRun(parts, caller, id);
  if (!mayRead(caller, row)) throw notFound('run', id);
  return { session: row.ref ?? '', state: { status: row.status, ...row.body } };
}

async function inspectRun(parts: InspectParts, caller: Caller, id: string): Promise<InspectionView> {
  const { store } = parts;
  const { tenant } = caller;
  const { session, state } = await placeOfRun(parts, caller, id);
  const chain: ChainKey = { tenant, aggregate: 'session', id: session };
  const own = await records(store, chain, (one) => valueOf(one, 'run_id') === id);
  const found = await withApprovals(store, tenant, own);
  const links: JsonObject = {
    session_id: session,
    request_ids: [
      ...new Set(own.flatMap((one) => [textOf(valueOf(one, 'call_id')), ...refusedBy(one)])),
    ].filter((call) => call !== ''),
    approval_ids: idsIn(own, 'approval_id'),
    capability_session_ids: idsIn(own, 'capability_session_id'),
  };
  const told = own.map(({ header: { type }, evidence }) => ({
    type,
    evidence: evidence.state === 'present' ? evidence.value : undefined,
  }));
  const record = runRecord(state.status, own.map(recordView));
  const through = textOf(record.capability_session_id);
  const connection = through === '' ? undefined : await store.row('capability_session', tenant, through);
  const whole: JsonObject = {
    ...{ run_id: id, session_id: session, ...state, ...record },
    capability_session_status: connection?.status ?? null,
    ...failureView(textOf(state.status), told),
  };
  return inspection({ kind: 'run', id, state: whole, links }, found);
}

async function inspectCapabilitySession(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'capability_session', id);
  const found = await records(store, { tenant: row.tenant, aggregate: 'capability_session', id }, () => true);
  const state = capabilitySessionView(row, now);
  const links: JsonObject = {
    run_id: state.run_id ?? null,
    run_ids: idsTold(found, 'run_id'),
    request_ids: idsTold(found, 'call_id'),
    reinitialized_from: state.reinitialized_from ?? null,
    reinitialized_as: state.reinitialized_as ?? null,
  };
  return inspection({ kind: 'capability_session', id, state, links }, found);
}

/** One item, whole. NOT_FOUND for a foreign or unknown one. */
export async function inspectItem(
  parts: InspectParts,
  caller: Caller,
  kind: string,
  id: string,
): Promise<InspectionView> {
  switch (kind) {
    case 'request':
      return inspectRequest(parts, caller, id);
    case 'approval':
      return inspectApproval(parts, caller, id);
    case 'session':
      return inspectSession(parts, caller, id);
    case 'capability_session':
      return inspectCapabilitySession(parts, caller, id);
    case 'run':
      return inspectRun(parts, caller, id);
    default:
      throw notFound('item', id);
  }
}
