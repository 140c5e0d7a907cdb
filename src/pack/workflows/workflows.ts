// Owns workflows as the rooms above see them: started, resumed, woken and canceled.
import { isoTime } from '../../base/clock.ts';
import type { EpochMs } from '../../base/clock.ts';
import { RuntimeError, asRuntimeError } from '../../base/errors.ts';
import { digestJson } from '../../base/digest.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Append } from '../../store/contract.ts';
import { together } from '../background/queue.ts';
import type { Admission } from '../background/queue.ts';
import { textAt } from '../records.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import { assertOwnAgent } from '../turn/authorize.ts';
import type { TurnMessage } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { assertAskable, assertTaken } from './asked.ts';
import type {
  NotWoken,
  ResumeWorkflow,
  StartWorkflow,
  WokenBy,
  WorkflowDeps,
  WorkflowFacts,
  WorkflowResult,
  Workflows,
} from './contract.ts';
import type { WorkflowDefinition } from './definition.ts';
import { eventOf, turnsEvidence } from './events.ts';
import { catchUp, commitStep, findWorkflow, loadWorkflow, WAKE, workflowRow } from './journal.ts';
import type { HeldWorkflow } from './journal.ts';
import type { KnownNames } from './check-nodes.ts';
import { parseWorkflow } from './parse.ts';
import { standingOf, workflowLooks } from './look.ts';
import { statusOf, wakeOf } from './result.ts';
import { cancelNode, invoke } from './run.ts';
import type { Invocation } from './run.ts';
import { workflowSessionId } from './schema.ts';
import { recoverWorkflow } from './recover.ts';
import { ABSENT, fold, isEnded } from './state.ts';
import type { NodeState } from './state.ts';

interface Room {
  deps: WorkflowDeps;
  /** How to wake the invocations of this process, by chain. */
  wakers: Map<string, () => void>;
}

function keyOf(held: HeldWorkflow): string {
  return `${held.chain.tenant}\0${held.chain.id}`;
}

async function carryOn(room: Room, held: HeldWorkflow, how: Invocation, io: TurnIo): Promise<WorkflowResult> {
  assertOwnAgent(held.facts.agentId, room.deps.agentId);
  const key = keyOf(held);
  const onWake = (wake: (() => void) | undefined): void => {
    if (wake === undefined) room.wakers.delete(key);
    else room.wakers.set(key, wake);
  };
  await invoke(room.deps, { held, how, io, onWake });
  // A cancel found it still held, after this run had looked for the last time.
  await carryOutCancel(room, held);
  return standingOf(room.deps.store, held);
}

/** What a cancel left to whoever held it then, or to the holder that has died since, is ended now. */
async function carryOutCancel(room: Room, held: HeldWorkflow): Promise<boolean> {
  held.state = await catchUp(room.deps.store, held.chain, held.state);
  if (held.state.cancelReason === undefined || held.state.end !== undefined) return false;
  await close(room, held);
  return true;
}

/** Ends what is to be canceled; false when another run holds it, which ends it then. */
async function close({ deps }: Room, held: HeldWorkflow): Promise<boolean> {
  const io: TurnIo = { signal: new AbortController().signal };
  const how: Invocation = {
    callerNow: () => held.facts.caller,
    reason: 'wakeup',
    tries: 'none',
    messages: {},
  };
  try {
    await invoke(deps, { held, how, io });
    return true;
  } catch (thrown) {
    if (asRuntimeError(thrown).code !== 'CONFLICT') throw thrown;
    return false;
  }
}

/** What is recorded of a start. */
interface Start {
  facts: WorkflowFacts;
  definition: WorkflowDefinition;
  maxTurns: number | undefined;
}

function startEvidence({ facts, definition, maxTurns }: Start): JsonObject {
  const { tenant, principal, actor, lane } = facts.caller;
  return {
    kind: 'workflow',
    session_id: facts.id,
    tenant_id: tenant,
    principal_id: principal,
    actor_id: actor,
    agent_id: facts.agentId,
    run_id: facts.runId,
    lane,
    definition_digest: facts.definitionDigest,
    nodes: definition.nodes.map(({ id, depends_on }) => ({ node_id: id, depends_on: depends_on ?? [] })),
    ...(definition.id === undefined ? {} : { workflow: definition.id }),
    failure_policy: definition.failure_policy ?? 'fail_fast',
    ...turnsEvidence(maxTurns),
  };
}

/** Records the start, and with it its place in the queue. Undefined when the id is already in use. */
async function birth(
  deps: WorkflowDeps,
  start: Start,
  place: Admission | undefined,
): Promise<HeldWorkflow | undefined> {
  const { facts, definition } = start;
  const chain = sessionChainOf(facts.caller.tenant, facts.id);
  const evidence = startEvidence(start);
  const state = fold(ABSENT, eventOf('workflow_started', evidence), { seq: 1 });
  if (state.status === 'absent') return undefined;
  const sealed = { definition, caller: { ...facts.caller } } as unknown as JsonObject;
  const at = facts.startedAt;
  const append: Append = { chain, when: { seq: 0 }, type: 'workflow_started', at, evidence, sealed };
  const row = { ...workflowRow(facts, definition, state, at), when: 'absent' as const };
  const done = await deps.store.commit(together({ appends: [append], rows: [row] }, place?.commit));
  if (done.ok) return { chain, facts, definition, state };
  const isNew = (await deps.store.head(chain)) === undefined;
  const refusal = isNew ? place?.refusal(done) : undefined;
  if (refusal !== undefined) throw refusal;
  return undefined;
}

async function parsed(
  { workflow, sessionId }: StartWorkflow,
  known: KnownNames | undefined,
): Promise<WorkflowDefinition> {
  if (sessionId !== undefined && !workflowSessionId.safeParse(sessionId).success) {
    throw new RuntimeError('INVALID_INPUT', '/session_id: is not a session id', { field: '/session_id' });
  }
  const read = await parseWorkflow(workflow, undefined, known);
  if (read.ok) return read.definition;
  const [first] = read.problems;
  const more = read.problems.length > 1 ? ` (and ${read.problems.length - 1} more)` : '';
  throw new RuntimeError('INVALID_INPUT', `${first?.path ?? '/'}: ${first?.sentence ?? 'is wrong'}${more}`, {
    field: first?.path ?? '/',
    problems: read.problems,
  });
}

/** The workflow of this start, recorded now or before; nothing of it runs yet. */
async function begin({ deps }: Room, caller: Caller, input: StartWorkflow): Promise<HeldWorkflow> {
  assertAskable(input);
  const definition = await parsed(input, deps.known);
  const id = input.sessionId ?? definition.session_id ?? deps.ids.next('ses');
  const definitionDigest = digestJson(definition as unknown as JsonObject);
  const { agentId, clock, ids } = deps;
  const runId = ids.next('run');
  const facts: WorkflowFacts = { id, caller, runId, agentId, startedAt: clock.now(), definitionDigest };
  const place = await input.admit?.(id);
  const start = { facts, definition, maxTurns: input.maxTurnsPerInvocation };
  const born = await birth(deps, start, place);
  const held = born ?? (await findWorkflow(deps.store, caller.tenant, id));
  const isSame =
    held?.facts.caller.principal === caller.principal && held.facts.definitionDigest === definitionDigest;
  if (held === undefined || !isSame) {
    throw new RuntimeError('CONFLICT', `The session id ${id.slice(0, 80)} is in use.`, { session_id: id });
  }
  if (born === undefined && place !== undefined && held.state.end === undefined) {
    const done = await deps.store.commit(place.commit);
    const refusal = place.refusal(done);
    // In the queue, or with a worker, it is where this start would bring it.
    if (refusal !== undefined && refusal.code !== 'CONFLICT') throw refusal;
  }
  return held;
}

async function start(room: Room, caller: Caller, input: StartWorkflow, io: TurnIo): Promise<WorkflowResult> {
  const held = await begin(room, caller, input);
  if (held.state.end !== undefined) return standingOf(room.deps.store, held);
  const { maxTurnsPerInvocation: maxTurns } = input;
  const how: Invocation = {
    callerNow: () => caller,
    reason: 'created',
    tries: 'none',
    messages: {},
    ...(maxTurns === undefined ? {} : { maxTurns }),
  };
  return carryOn(room, held, how, io);
}

function assertGoesOn({ state, chain }: HeldWorkflow): void {
  if (state.end === undefined) return;
  throw new RuntimeError(
    'SESSION_CLOSED',
    `The workflow ${chain.id} has ended (${state.end.as}); start a new one.`,
    {
      session_id: chain.id,
      status: statusOf(state),
    },
  );
}

const LISTENING: ReadonlySet<NodeState['at']> = new Set(['running', 'waiting', 'parked', 'compensating']);

/** Why a node would not hear what is said to it now; undefined: its session goes on and does. */
function deafness(node: NodeState | undefined, now: EpochMs): string | undefined {
  if (node === undefined) return 'is no node of this workflow';
  if (isEnded(node)) return 'has ended and takes no messages';
  if (!LISTENING.has(node.at)) return 'has not begun and takes no messages';
  const wakeAt = wakeOf(node);
  return wakeAt === undefined || wakeAt <= now
    ? undefined
    : `waits until ${isoTime(wakeAt)} and takes no messages before`;
}

/** What nobody would hear is refused, not lost. */
async function assertHeard(
  { deps }: Room,
  { state, facts }: HeldWorkflow,
  messages: Readonly<Record<string, TurnMessage[]>>,
): Promise<void> {
  for (const [id, said] of Object.entries(messages)) {
    const node = state.nodes.get(id);
    const why = deafness(node, deps.clock.now());
    if (why !== undefined) {
      const field = `/continuationMessagesByNodeId/${id.slice(0, 80)}`;
      throw new RuntimeError('INVALID_INPUT', `${field}: ${why}`, { field });
    }
    if (node === undefined || !('sessionId' in node)) continue;
    const { sessionId } = node;
    await assertTaken(deps.sessions, facts.caller, { node: id, sessionId, said });
  }
}

// Each round its holder took a step; more than a few means a flood.
const MAX_ROUNDS = 16;

/** Writes into the chain that it is to end, for its holder to read; of one that has ended by then nothing is written. */
async function wish({ deps }: Room, held: HeldWorkflow, reason: string): Promise<void> {
  const drafts = [{ event: { type: 'cancel_requested', reason } }] as const;
  for (let round = 1; held.state.end === undefined && held.state.cancelReason === undefined; round++) {
    const step = { held, drafts, when: { seq: held.state.seq }, at: deps.clock.now() };
    try {
      held.state = await commitStep(deps, step);
    } catch (thrown) {
      if (asRuntimeError(thrown).code !== 'CONFLICT' || round === MAX_ROUNDS) throw thrown;
      held.state = await catchUp(deps.store, held.chain, held.state);
    }
  }
}

/** Ends the workflow from outside: says so, ends the sessions of its nodes, and closes it unless another run does. */
async function cancel(room: Room, caller: Caller, id: string, reason: string): Promise<HeldWorkflow> {
  const { deps } = room;
  const held = await loadWorkflow(deps.store, caller, id);
  await wish(room, held, reason);
  if (held.state.end !== undefined) return held;
  if (await close(room, held)) return held;
  held.state = await catchUp(deps.store, held.chain, held.state);
  for (const node of held.state.nodes.values()) {
    const isLive =
      node.at === 'running' || node.at === 'waiting' || node.at === 'parked' || node.at === 'compensating';
    if (isLive) await cancelNode(deps, held, node.sessionId);
  }
  room.wakers.get(keyOf(held))?.();
  return held;
}

async function wake(
  room: Room,
  tenant: string,
  payload: JsonObject,
  by: WokenBy,
): Promise<WorkflowResult | NotWoken> {
  const { store } = room.deps;
  const id = textAt(payload, 'session_id');
  const held = payload.kind === WAKE && id !== undefined ? await findWorkflow(store, tenant, id) : undefined;
  if (held === undefined || held.state.end !== undefined) return 'over';
  const callerNow = (): Caller | undefined => by.callerOf(held.facts.caller.principal);
  if (callerNow() === undefined) return 'unknown_principal';
  const node = textAt(payload, 'node_id') ?? '';
  return carryOn(room, held, { callerNow, reason: 'wakeup', messages: {}, tries: { node } }, by.io);
}

async function resumable(
  room: Room,
  caller: Caller,
  id: string,
  given: ResumeWorkflow,
): Promise<HeldWorkflow> {
  const held = await loadWorkflow(room.deps.store, caller, id);
  assertGoesOn(held);
  assertAskable(given);
  await assertHeard(room, held, given.continuationMessagesByNodeId ?? {});
  assertOwnAgent(held.facts.agentId, room.deps.agentId);
  return held;
}

export function createWorkflows(deps: WorkflowDeps): Workflows {
  const room: Room = { deps, wakers: new Map() };
  const load = (caller: Caller, id: string): Promise<HeldWorkflow> => loadWorkflow(deps.store, caller, id);
  return {
    async create(caller, input) {
      const { chain } = await begin(room, caller, input);
      return { session_id: chain.id };
    },
    start: (caller, input, io) => start(room, caller, input, io),
    async resume(caller, id, given, io) {
      const { continuationMessagesByNodeId: messages = {}, maxTurnsPerInvocation } = given;
      const { callerNow = () => caller, tries = 'all' } = given;
      const held = await resumable(room, caller, id, given);
      const budget = maxTurnsPerInvocation === undefined ? {} : { maxTurns: maxTurnsPerInvocation };
      return carryOn(room, held, { callerNow, reason: 'resumed', tries, messages, ...budget }, io);
    },
    async assertResumes(caller, id, given) {
      await resumable(room, caller, id, given);
    },
    async cancel(caller, id, reason) {
      const held = await cancel(room, caller, id, reason);
      return { status: statusOf(held.state) };
    },
    wake: (tenant, payload, by) => wake(room, tenant, payload, by),
    async recover(caller, id) {
      const held = await load(caller, id);
      const isSuspended = await recoverWorkflow(deps, held);
      return !(await carryOutCancel(room, held)) && isSuspended;
    },
    ...workflowLooks(deps.store),
  };
}
