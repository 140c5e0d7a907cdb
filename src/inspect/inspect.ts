// Owns the answer to "what happened here": one item with its state, timeline, decisions, receipts and links.
import type { JsonObject } from '../base/json.ts';
import type { Caller } from '../kernel/identity.ts';
import type { ChainKey, Page, Store, StoredRecord, StoredRow } from '../store/contract.ts';
import { capabilitySessionView } from './capability-session-view.ts';
import { rowAt } from './effective.ts';
import { chainRecords } from './evidence.ts';
import { Failures } from './failure.ts';
import { RunRecord } from './run-record.ts';
import { refusedIn, sessionView } from './views.ts';
import { rowView } from './row-view.ts';
import { placeOfRun } from './run-place.ts';
import type { InspectParts } from './run-place.ts';
import { Story } from './story.ts';
import type { StoryLists } from './story.ts';
import { notFound, visibleRow } from './visible.ts';

export interface InspectionView extends StoryLists {
  kind: string;
  id: string;
  state: JsonObject;
  links: JsonObject;
}

interface Subject {
  kind: string;
  id: string;
  state: JsonObject;
  links: JsonObject;
}

function inspection({ kind, id, state, links }: Subject, story: Story): InspectionView {
  return { kind, id, state, ...story.lists(), links };
}

/** Of an erased record there is none. */
function evidenceOf({ evidence }: StoredRecord): JsonObject {
  return evidence.state === 'present' ? evidence.value : {};
}

/** What all records of a chain tell. */
async function wholeStory(store: Store, chain: ChainKey): Promise<Story> {
  const story = new Story();
  for await (const record of chainRecords(store, chain)) story.add(record);
  return story;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The calls that a turn refused as it asked for them. */
function refusedBy(line: JsonObject): string[] {
  return refusedIn(line).map((one) => textOf(one.tool_call_id));
}

async function inspectRequest(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await rowAt(store, await visibleRow(store, caller, 'request', id), now);
  const session = row.ref ?? textOf(row.body.session_id);
  const chain: ChainKey = { tenant: row.tenant, aggregate: 'session', id: session };
  const story = new Story();
  for await (const record of chainRecords(store, chain)) {
    const told = evidenceOf(record);
    if (told.call_id === id || told.request_id === id || refusedBy(told).includes(id)) story.add(record);
  }
  const links: JsonObject = {
    session_id: session,
    run_id: row.body.run_id ?? null,
    approval_ids: story.ids('approval_id'),
    capability_session_ids: story.ids('capability_session_id'),
    // Where each record stands: chain and number.
    records: story.lists().timeline.map((line) => `${textOf(line.chain)}#${Number(line.seq)}`),
  };
  const view = inspection({ kind: 'request', id, state: rowView('request', row, now), links }, story);
  // A turn may have refused others beside this one.
  return { ...view, decisions: view.decisions.filter(({ call_id: of }) => of === null || of === id) };
}

async function inspectApproval(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'approval', id);
  const story = await wholeStory(store, { tenant: row.tenant, aggregate: 'approval', id });
  const view = rowView('approval', row, now);
  const links: JsonObject = {
    request_id: view.tool_call_id ?? null,
    session_id: view.session_id ?? null,
    run_id: view.run_id ?? null,
  };
  return inspection({ kind: 'approval', id, state: view, links }, story);
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
  const story = await wholeStory(store, { tenant: row.tenant, aggregate: 'session', id });
  const [runs, requests] = await Promise.all([rowsOf(store, 'run', row), rowsOf(store, 'request', row)]);
  const isCut = runs.nextCursor !== undefined || requests.nextCursor !== undefined;
  const links: JsonObject = {
    run_ids: runIds(runs.items, requests.items),
    trace_ids: story.ids('trace_id'),
    request_ids: requests.items.map((one) => one.id),
    approval_ids: story.ids('approval_id'),
    capability_session_ids: story.ids('capability_session_id'),
    // Of a long session these are the newest; the list of its requests, page by page, has the rest.
    ...(isCut ? { newest_only: true } : {}),
  };
  return inspection({ kind: 'session', id, state: sessionView(row), links }, story);
}

/** In the same millisecond a request follows the call that waits for it, and all else about an approval comes first. */
function tie(one: StoredRecord): number {
  if (one.header.chain.aggregate !== 'approval') return 0;
  return one.header.type === 'approval_requested' ? 1 : -1;
}

/** By time. */
function byTime(a: StoredRecord, b: StoredRecord): number {
  return a.header.at - b.header.at || tie(a) - tie(b);
}

interface ToldRun {
  story: Story;
  record: RunRecord;
  failures: Failures;
  requestIds: string[];
}

/** What the run's own records tell, all of them. */
async function ownStory(store: Store, chain: ChainKey, id: string): Promise<ToldRun> {
  const told = { story: new Story(byTime), record: new RunRecord(), failures: new Failures() };
  const requestIds = new Set<string>();
  for await (const one of chainRecords(store, chain)) {
    if (evidenceOf(one).run_id !== id) continue;
    const line = told.story.add(one);
    told.record.add(line);
    told.failures.add({ type: one.header.type, evidence: evidenceOf(one) });
    for (const call of [textOf(line.call_id), ...refusedBy(line)]) requestIds.add(call);
  }
  requestIds.delete('');
  return { ...told, requestIds: [...requestIds] };
}

async function inspectRun(parts: InspectParts, caller: Caller, id: string): Promise<InspectionView> {
  const { store } = parts;
  const { tenant } = caller;
  const { session, state } = await placeOfRun(parts, caller, id);
  const chain: ChainKey = { tenant, aggregate: 'session', id: session };
  const { story, record: told, failures, requestIds } = await ownStory(store, chain, id);
  const approvals = story.ids('approval_id');
  const links: JsonObject = {
    session_id: session,
    request_ids: requestIds,
    approval_ids: approvals,
    capability_session_ids: story.ids('capability_session_id'),
  };
  // What happened to its approvals lies on chains of their own.
  for (const approval of approvals) {
    const answered = chainRecords(store, { tenant, aggregate: 'approval', id: approval });
    for await (const one of answered) story.add(one);
  }
  const record = told.view(state.status);
  const through = textOf(record.capability_session_id);
  const connection = through === '' ? undefined : await store.row('capability_session', tenant, through);
  const whole: JsonObject = {
    ...{ run_id: id, session_id: session, ...state, ...record },
    capability_session_status: connection?.status ?? null,
    ...failures.view(textOf(state.status)),
  };
  return inspection({ kind: 'run', id, state: whole, links }, story);
}

async function inspectCapabilitySession(
  { store, now }: InspectParts,
  caller: Caller,
  id: string,
): Promise<InspectionView> {
  const row = await visibleRow(store, caller, 'capability_session', id);
  const story = await wholeStory(store, { tenant: row.tenant, aggregate: 'capability_session', id });
  const state = capabilitySessionView(row, now);
  const links: JsonObject = {
    run_id: state.run_id ?? null,
    run_ids: story.ids('run_id'),
    request_ids: story.ids('call_id'),
    reinitialized_from: state.reinitialized_from ?? null,
    reinitialized_as: state.reinitialized_as ?? null,
  };
  return inspection({ kind: 'capability_session', id, state, links }, story);
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
