// Owns where workflows lie: the chain of each, loaded by folding from a snapshot, and the one commit by which it moves.
//
// J1  Everything that belongs to an event is in its commit: the record, the row that lists show, and its timers.
// J2  A foreign workflow and an unknown one answer alike, in one sentence.
// J3  A snapshot is a cache: it counts only if the record at its position has its hash; who the workflow belongs to is
//     always read from its first record.
import { isoTime } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Append, ChainKey, Commit, RowWrite, Store, StoredRecord } from '../../store/contract.ts';
import { textAt } from '../records.ts';
import { readable } from '../sessions/session-events.ts';
import { sessionChainOf, sessionNotFound, unreadableHere } from '../sessions/sessions.ts';
import type { WakePayload, WorkflowDeps, WorkflowFacts } from './contract.ts';
import type { WorkflowDefinition } from './definition.ts';
import { eventOf, evidenceOf, sealedObject } from './events.ts';
import type { WorkflowDraft } from './events.ts';
import { cutOutput } from './output.ts';
import { nodeStatus, statusOf, wakeOf } from './result.ts';
import { ABSENT, apply, fold } from './state.ts';
import type { LiveWorkflow, NodeState, WorkflowState } from './state.ts';

const PAGE = 200;
const SNAPSHOT_EVERY = 200;
const SNAPSHOT_VERSION = 4;
export const WAKE = 'workflow_wake';

/** A workflow as it was read; `hash` is that of the record at `state.seq`. */
export interface HeldWorkflow {
  chain: ChainKey;
  facts: WorkflowFacts;
  definition: WorkflowDefinition;
  state: LiveWorkflow;
}

interface Folded {
  state: WorkflowState;
  hash: string;
}

async function foldOn(store: Store, chain: ChainKey, from: Folded): Promise<Folded> {
  let { state, hash } = from;
  for (;;) {
    const page = await store.read(chain, state.seq + 1, PAGE);
    for (const record of page) {
      const { type, seq, evidence } = readable(record);
      state = fold(state, eventOf(type, evidence), { seq });
      hash = record.hash;
    }
    if (page.length < PAGE) return { state, hash };
  }
}

function stateFrom(saved: JsonValue): WorkflowState | undefined {
  if (!isObject(saved)) return undefined;
  const { v, state, nodes } = saved;
  if (v !== SNAPSHOT_VERSION || !isObject(state) || !Array.isArray(nodes)) return undefined;
  const known = { failedNode: undefined, cancelReason: undefined, interrupted: undefined, end: undefined };
  const live = { ...known, maxTurns: undefined, ...state, nodes: new Map(nodes as [string, NodeState][]) };
  return live as unknown as WorkflowState;
}

async function fromSnapshot(store: Store, chain: ChainKey): Promise<Folded | undefined> {
  const found = await store.snapshot(chain);
  if (found === undefined) return undefined;
  const [record] = await store.read(chain, found.seq, 1);
  const state = record?.hash === found.hash ? stateFrom(found.state) : undefined;
  return state === undefined ? undefined : { state, hash: found.hash };
}

async function saveSnapshot(store: Store, chain: ChainKey, { state, hash }: Folded): Promise<void> {
  if (state.status === 'absent') return;
  const { nodes, ...rest } = state;
  try {
    const value = JSON.parse(
      JSON.stringify({ v: SNAPSHOT_VERSION, state: rest, nodes: [...nodes] }),
    ) as JsonValue;
    await store.saveSnapshot(chain, state.seq, hash, value);
  } catch {
    // A cache that could not be written costs a longer fold later, and nothing else.
  }
}

function callerFrom(sealed: JsonObject): Caller | undefined {
  const { caller } = sealed;
  return isObject(caller) ? (caller as unknown as Caller) : undefined;
}

/** The workflow's beginning: who started it and what it is. */
async function readStart(
  store: Store,
  chain: ChainKey,
  first: StoredRecord,
): Promise<Pick<HeldWorkflow, 'facts' | 'definition'>> {
  const sealed = await store.unseal(chain, 1);
  const { evidence, at } = readable(first);
  if (sealed.state === 'unreadable') throw unreadableHere(chain.id);
  const value = sealed.state === 'present' ? sealedObject(sealed.value) : {};
  const caller = callerFrom(value);
  if (caller === undefined || evidence === undefined || !isObject(value.definition)) {
    throw new RuntimeError('NOT_FOUND', `The definition of workflow ${chain.id} has been erased.`, {
      kind: 'session',
    });
  }
  const definitionDigest = textAt(evidence, 'definition_digest') ?? '';
  return {
    facts: {
      id: chain.id,
      caller,
      runId: textAt(evidence, 'run_id') ?? chain.id,
      agentId: textAt(evidence, 'agent_id') ?? '',
      startedAt: at,
      definitionDigest,
    },
    definition: value.definition as unknown as WorkflowDefinition,
  };
}

/** The tenant's workflow, whoever it belongs to; undefined when there is none. */
export async function findWorkflow(
  store: Store,
  tenant: string,
  id: string,
): Promise<HeldWorkflow | undefined> {
  const chain = sessionChainOf(tenant, id);
  const [first] = await store.read(chain, 1, 1);
  if (first?.header.type !== 'workflow_started') return undefined;
  const base = (await fromSnapshot(store, chain)) ?? { state: ABSENT, hash: '' };
  const folded = await foldOn(store, chain, base);
  if (folded.state.status === 'absent') return undefined;
  if (folded.state.seq - base.state.seq >= SNAPSHOT_EVERY) await saveSnapshot(store, chain, folded);
  return { chain, ...(await readStart(store, chain, first)), state: folded.state };
}

/** The caller's own workflow. Throws NOT_FOUND (J2). */
export async function loadWorkflow(store: Store, caller: Caller, id: string): Promise<HeldWorkflow> {
  const held = await findWorkflow(store, caller.tenant, id);
  if (held?.facts.caller.principal !== caller.principal) throw sessionNotFound(id);
  return held;
}

/** What others have written since; the same state when nobody has. */
export async function catchUp(store: Store, chain: ChainKey, state: LiveWorkflow): Promise<LiveWorkflow> {
  const { state: now } = await foldOn(store, chain, { state: { ...state, status: 'live' }, hash: '' });
  return now.status === 'absent' ? state : now;
}

export function workflowRow(
  facts: WorkflowFacts,
  definition: WorkflowDefinition,
  state: LiveWorkflow,
  at: number,
): RowWrite {
  const counts: Record<string, number> = {};
  for (const node of state.nodes.values()) {
    const status = nodeStatus(node);
    counts[status] = (counts[status] ?? 0) + 1;
  }
  const { tenant, principal, actor, lane } = facts.caller;
  const body: JsonObject = {
    kind: 'workflow',
    ...(definition.id === undefined ? {} : { workflow: definition.id }),
    actor_id: actor,
    agent_id: facts.agentId,
    run_id: facts.runId,
    lane,
    node_count: state.nodes.size,
    nodes_by_status: counts,
    started_at: isoTime(facts.startedAt),
    ...(state.interrupted === undefined ? {} : { reason: state.interrupted }),
  };
  const status = statusOf(state);
  return { row: { kind: 'session', tenant, id: facts.id, principal, status, updatedAt: at, body } };
}

export function timerId(sessionId: string, node: string): string {
  return `wake/${sessionId}/${node}`;
}

type Timers = Required<Pick<Commit, 'timers' | 'cancelTimers'>>;

/** J1: a timer stands exactly while its node waits for a time. */
function timersOf({ chain, facts, state: before }: HeldWorkflow, after: LiveWorkflow): Timers {
  const timers: Timers = { timers: [], cancelTimers: [] };
  const { tenant } = chain;
  for (const [node, now] of after.nodes) {
    const was = before.nodes.get(node);
    if (was === now || was === undefined) continue;
    const id = timerId(chain.id, node);
    const wakeAt = wakeOf(now);
    if (wakeAt !== undefined) {
      const payload: WakePayload = {
        ...{ kind: WAKE, session_id: chain.id },
        ...{ node_id: node, agent_id: facts.agentId },
      };
      timers.timers.push({ tenant, id, dueAt: wakeAt, payload });
    } else if (wakeOf(was) !== undefined) timers.cancelTimers.push({ tenant, id });
  }
  return timers;
}

export interface Step {
  held: HeldWorkflow;
  drafts: readonly WorkflowDraft[];
  /** A holder's epoch; or, of whoever holds nothing, the position that was read: its row may not undo a newer one. */
  when: { epoch: number } | { seq: number };
  at: number;
}

function appendOf(
  deps: Pick<WorkflowDeps, 'redact'>,
  { held, when, at }: Step,
  draft: WorkflowDraft,
): Append {
  const { event, shown, sealed } = draft;
  const facts = evidenceOf(event);
  // Only what a model or a tool wrote may be redacted: ids are ours, and folding needs them whole.
  const { error, reason, ...ours } = facts;
  const said: JsonObject = {
    ...shown,
    ...(error === undefined ? {} : { error }),
    ...(reason === undefined ? {} : { reason }),
  };
  const redacted = deps.redact(said);
  const { output } = redacted.value;
  const evidence = {
    ...ours,
    ...redacted.value,
    ...(isObject(output) ? { output: cutOutput(output) } : {}),
    ...(redacted.fields.length === 0 ? {} : { redacted_fields: redacted.fields }),
  };
  return {
    chain: held.chain,
    when,
    type: event.type,
    at,
    evidence,
    ...(sealed === undefined ? {} : { sealed }),
  };
}

interface Drafted {
  appends: Append[];
  state: LiveWorkflow;
}

/** The records of the drafts, and the state after them if nobody writes in between. */
function draftAll(deps: Pick<WorkflowDeps, 'redact'>, step: Step): Drafted {
  const { held, drafts } = step;
  let state: LiveWorkflow = held.state;
  const appends: Append[] = [];
  for (const draft of drafts) {
    const append = appendOf(deps, step, draft);
    // Applied as it will be read back, so that the two cannot differ.
    const event = eventOf(append.type, append.evidence);
    const applied = apply({ ...state, status: 'live' }, event, { seq: state.seq + 1 });
    if (!applied.ok) throw new RuntimeError('INTERNAL', `A workflow step was refused: ${applied.refused}`);
    if (applied.state.status === 'live') ({ state } = applied as { state: LiveWorkflow });
    appends.push(append);
  }
  return { appends, state };
}

/** The state that the drafts lead to; nothing is written. */
export function foresee(deps: Pick<WorkflowDeps, 'redact'>, step: Omit<Step, 'when'>): LiveWorkflow {
  return draftAll(deps, { ...step, when: { epoch: 0 } }).state;
}

/** Commits the drafts and gives the state after them, with what others wrote in between. Throws CONFLICT when fenced. */
export async function commitStep(
  deps: Pick<WorkflowDeps, 'store' | 'redact'>,
  step: Step,
): Promise<LiveWorkflow> {
  const { held, at } = step;
  const before = held.state;
  const { appends, state } = draftAll(deps, step);
  const row = workflowRow(held.facts, held.definition, state, at);
  const done = await deps.store.commit({ appends, rows: [row], ...timersOf(held, state) });
  if (!done.ok) {
    throw new RuntimeError('CONFLICT', 'Another run holds this workflow.', {
      reason: 'run_held',
      session_id: held.chain.id,
    });
  }
  const head = done.heads.find(({ chain }) => chain.id === held.chain.id);
  if (head?.seq !== state.seq) return catchUp(deps.store, held.chain, before);
  if (Math.floor(state.seq / SNAPSHOT_EVERY) !== Math.floor(before.seq / SNAPSHOT_EVERY)) {
    const folded: WorkflowState = { ...state, status: 'live' };
    await saveSnapshot(deps.store, held.chain, { state: folded, hash: head.hash });
  }
  return state;
}
