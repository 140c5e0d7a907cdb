// Owns the answer to "what happened here": one item with its state, timeline, decisions, receipts and links.
import type { EpochMs } from '../base/clock.ts';
import type { JsonObject } from '../base/json.ts';
import type { Caller } from '../kernel/identity.ts';
import type { ChainKey, Store, StoredRecord, StoredRow } from '../store/contract.ts';
import { approvalView, recordView, requestView, sessionView, split } from './views.ts';
import { notFound, visibleRow } from './visible.ts';

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
  for (let from = 1; kept.length < MAX_LINES; from += PAGE) {
    const page = await store.read(chain, from, PAGE);
    kept.push(...page.filter(keep));
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

async function inspectRequest({ store }: InspectParts, caller: Caller, id: string): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'request', id);
  const session = textOf(row.body.session_id);
  const chain: ChainKey = { tenant: row.tenant, aggregate: 'session', id: session };
  const found = await records(
    store,
    chain,
    (one) => valueOf(one, 'call_id') === id || valueOf(one, 'request_id') === id,
  );
  const links: JsonObject = {
    session_id: session,
    run_id: row.body.run_id ?? null,
    ...(row.body.approval_id === undefined ? {} : { approval_id: row.body.approval_id }),
  };
  return inspection({ kind: 'request', id, state: requestView(row), links }, found);
}

async function inspectApproval(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'approval', id);
  const found = await records(store, { tenant: row.tenant, aggregate: 'approval', id }, () => true);
  const view = approvalView(row, now);
  const links: JsonObject = {
    request_id: view.tool_call_id ?? null,
    session_id: view.session_id ?? null,
    run_id: view.run_id ?? null,
  };
  return inspection({ kind: 'approval', id, state: view, links }, found);
}

async function relatedRows(store: Store, row: StoredRow): Promise<JsonObject> {
  const page = await store.list({ kind: 'request', tenant: row.tenant, ref: row.id, limit: 50 });
  return { request_ids: page.items.map((one) => one.id) };
}

async function inspectSession({ store }: InspectParts, caller: Caller, id: string): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'session', id);
  const found = await records(store, { tenant: row.tenant, aggregate: 'session', id }, () => true);
  const links = await relatedRows(store, row);
  return inspection({ kind: 'session', id, state: sessionView(row), links }, found);
}

/** In the same millisecond a request follows the call that waits for it, and all else about an approval comes first. */
function tie(one: StoredRecord): number {
  if (one.header.chain.aggregate !== 'approval') return 0;
  return one.header.type === 'approval_requested' ? 1 : -1;
}

/** With what happened to its approvals, which lie on chains of their own, by time. */
async function withApprovals(store: Store, tenant: string, own: StoredRecord[]): Promise<StoredRecord[]> {
  const ids = new Set(own.map((one) => textOf(valueOf(one, 'approval_id'))).filter((id) => id !== ''));
  const read = (id: string): Promise<StoredRecord[]> =>
    records(store, { tenant, aggregate: 'approval', id }, () => true);
  const found = (await Promise.all([...ids].map(read))).flat();
  return [...own, ...found].sort((a, b) => a.header.at - b.header.at || tie(a) - tie(b));
}

async function inspectRun({ store }: InspectParts, caller: Caller, id: string): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'run', id);
  const session = row.ref ?? '';
  const chain: ChainKey = { tenant: row.tenant, aggregate: 'session', id: session };
  const own = await records(store, chain, (one) => valueOf(one, 'run_id') === id);
  const found = await withApprovals(store, row.tenant, own);
  const state: JsonObject = { run_id: id, status: row.status, session_id: session, ...row.body };
  return inspection({ kind: 'run', id, state, links: { session_id: session } }, found);
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
    case 'run':
      return inspectRun(parts, caller, id);
    default:
      throw notFound('item', id);
  }
}
