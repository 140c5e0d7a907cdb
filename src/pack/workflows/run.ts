// Owns one invocation of a workflow, the file to read first here: hold → ask the plan → record, run branches, or wait →
// ask again. A start, a resume, a wake-up and the run after a crash are this one path.
//
// R1  A session's run begins only after the record that names it; what a process knew and did not record is worth nothing.
// R2  All commits of an invocation come from its one loop, one after another; branches only deliver how they ended.
// R3  When the invocation ends, by whatever way, no branch of it is still running.
// R4  What its nodes may do is judged by who its caller is now; a node has no delegation but the one that it names itself,
//     and that must be granted to the actor who started the workflow.
import { RuntimeError, asRuntimeError } from '../../base/errors.ts';
import { sha256 } from '../../base/digest.ts';
import { base32 } from '../../base/ids.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { TurnInput, TurnMessage } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import type { ManagedResult, RunManaged } from '../managed/contract.ts';
import type { SuspendedWhy } from '../managed/state.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import { withEffect } from './acted.ts';
import { createBranchIo } from './branch-io.ts';
import type { BranchIo } from './branch-io.ts';
import type { NodeOutput, WorkflowDeps, WorkflowHold } from './contract.ts';
import type { WorkflowDraft } from './events.ts';
import { createGraph } from './graph.ts';
import type { Graph } from './graph.ts';
import { catchUp, commitStep, foresee } from './journal.ts';
import type { HeldWorkflow } from './journal.ts';
import { compensationInput, nodeInput } from './node-input.ts';
import { draftOf } from './outcome.ts';
import { outputFrom } from './output.ts';
import type { Arrival } from './outcome.ts';
import { plan } from './plan.ts';
import type { Plan, PlanView } from './plan.ts';
import { learnOutputs, readOutputAt } from './sealed.ts';
import type { LiveWorkflow, NodeState } from './state.ts';

export interface Invocation {
  /** Who asks, as known by now; undefined: nobody any more. */
  callerNow: () => Caller | undefined;
  reason: 'created' | 'resumed' | 'wakeup';
  messages: Readonly<Record<string, TurnMessage[]>>;
  maxTurns?: number;
  /** The nodes whose sessions are looked at if they wait. `unasked`: where nobody has to resume them. */
  tries: 'all' | 'unasked' | 'none' | { node: string };
}

interface Run {
  deps: WorkflowDeps;
  held: HeldWorkflow;
  graph: Graph;
  hold: WorkflowHold;
  how: Invocation;
  io: TurnIo;
  branches: BranchIo;
  signal: AbortSignal;
  outputs: Map<string, NodeOutput>;
  driving: Map<string, { done: Promise<void>; stop: AbortController }>;
  arrivals: Arrival[];
  retriable: Set<string>;
  /** Sessions that this invocation named itself: nothing can have happened in them before. */
  fresh: Set<string>;
  canceled: Set<string>;
  hasMoved: boolean;
  wake: () => void;
}

// A retry that is due sooner is waited for; everything later is left to its timer.
const PATIENCE_MS = 60_000;
const DEFAULT_TURNS = 12;

type PlanRun = Parameters<PlanView['sessionIdFor']>[1];

function markOf(run: PlanRun): string {
  if (!('undo' in run)) return `${run.attempt}/${run.iteration}`;
  return run.undo === 1 ? 'compensation' : `compensation/${run.undo}`;
}

/** The same run of a node has the same session, whoever names it and however often. */
function sessionIdOf(held: HeldWorkflow, node: string, run: PlanRun): string {
  const { tenant, id } = held.chain;
  const digest = sha256(JSON.stringify([tenant, id, node, markOf(run)]));
  return `ses_${base32(Buffer.from(digest.slice(0, 32), 'hex'))}`;
}

/** A worker that is told to stop hands on what it woke: nobody else knows of it. */
function leaving({ io, how }: Run): PlanView['leaving'] {
  if (!io.signal.aborted) return undefined;
  return how.reason === 'wakeup' ? 'handing_on' : 'for_good';
}

function viewOf(run: Run): PlanView {
  return {
    graph: run.graph,
    now: run.deps.clock.now(),
    outputs: run.outputs,
    driving: new Set(run.driving.keys()),
    retriable: run.retriable,
    leaving: leaving(run),
    sessionIdFor: (node, mark) => sessionIdOf(run.held, node, mark),
  };
}

/** Turns of this invocation: those that it was asked for, or, of a wake, those of the one that waited for it. */
function turnsOf({ how, held }: Run): number | undefined {
  return how.reason === 'wakeup' ? held.state.maxTurns : how.maxTurns;
}

/** Turns of what its timers begin from now on: only whoever resumes all of it says otherwise than before. */
function boundOf({ how, held }: Run): number | undefined {
  return how.reason === 'resumed' && how.tries === 'all' ? how.maxTurns : held.state.maxTurns;
}

function resumed(run: Run): WorkflowDraft {
  const maxTurns = boundOf(run);
  return { event: { type: 'workflow_resumed', ...(maxTurns === undefined ? {} : { maxTurns }) } };
}

async function record(run: Run, drafts: readonly WorkflowDraft[]): Promise<void> {
  const { deps, held, hold, how } = run;
  const isFirst = !run.hasMoved && how.reason === 'resumed';
  const all = isFirst ? [resumed(run), ...drafts] : drafts;
  const at = deps.clock.now();
  held.state = await commitStep(deps, { held, drafts: all, when: { epoch: hold.epoch }, at });
  run.hasMoved = true;
  for (const { event } of drafts) {
    if (event.type === 'node_started' || event.type === 'compensation_started')
      run.fresh.add(event.sessionId);
    if ('node' in event) run.branches.tell(event);
  }
}

type Driven = Extract<NodeState, { at: 'running' | 'waiting' | 'compensating' }>;

async function inputOf(run: Run, id: string, node: Driven): Promise<TurnInput> {
  const one = run.graph.nodes.get(id);
  if (one === undefined) throw new RuntimeError('INTERNAL', `No node ${id}`);
  const { outputs, held, deps } = run;
  if (node.at === 'compensating') {
    const input = compensationInput(one, outputs.get(id));
    if (input === undefined) throw new RuntimeError('INTERNAL', `Node ${id} has no compensation`);
    return input;
  }
  const last =
    node.lastSeq === undefined ? undefined : await readOutputAt(deps.store, held.chain, node.lastSeq);
  return nodeInput(one, { states: held.state.nodes, outputs, last });
}

/** A run that ended without its record, in a process that died: its session knows how. */
function isSaid(said: ManagedResult | undefined): said is ManagedResult {
  switch (said?.kind) {
    case 'completed':
      return said.final_turn.status !== 'escalate';
    case 'error':
    case 'canceled':
    case 'expired':
      return true;
    default:
      return false;
  }
}

function howOf(run: Run, id: string, node: Driven, isFresh: boolean): RunManaged {
  const { how, graph } = run;
  const messages = isFresh ? undefined : how.messages[id];
  const isApproval = node.at !== 'running' && node.hold?.kind === 'approval';
  const again = how.reason === 'wakeup' ? 'wakeup' : 'resumed';
  return {
    callerNow: () => actingNow(run),
    maxTurns: turnsOf(run) ?? graph.nodes.get(id)?.node.max_turns ?? DEFAULT_TURNS,
    reason: isFresh ? 'created' : isApproval ? 'approval' : again,
    ...(messages === undefined ? {} : { continuationMessages: messages }),
  };
}

/** R4: in the place of whoever started it, with the roles and scopes of now. */
function actingNow({ held, how }: Pick<Run, 'held' | 'how'>): Caller | undefined {
  const { actor, lane } = held.facts.caller;
  const now = how.callerNow();
  return now === undefined ? undefined : { ...now, actor, lane };
}

async function drive(run: Run, id: string, node: Driven, signal: AbortSignal): Promise<ManagedResult> {
  const { deps, held, branches } = run;
  const { sessionId } = node;
  const caller = actingNow(run);
  if (caller === undefined) {
    throw new RuntimeError('POLICY_DENIED', 'Nobody is known any more for whom this workflow could act.');
  }
  const isFresh = run.fresh.has(sessionId);
  const mark = node.at === 'compensating' ? { attempt: node.attempt, iteration: 1 } : node;
  await deps.sessions.create(caller, {
    executeTurnInput: await inputOf(run, id, node),
    sessionId,
    parent: { workflow_id: held.chain.id, node_id: id, attempt: mark.attempt, iteration: mark.iteration },
  });
  const said = isFresh ? undefined : await deps.sessions.result(caller, sessionId);
  if (isSaid(said)) return said;
  return deps.sessions.run(caller, sessionId, howOf(run, id, node, isFresh), branches.of(id, signal));
}

/** Never rejects. */
async function arrive(run: Run, id: string, node: Driven, signal: AbortSignal): Promise<Arrival> {
  const arrival = await drive(run, id, node, signal).then(
    (said): Arrival => ({ node: id, said }),
    (thrown: unknown): Arrival => ({ node: id, thrown }),
  );
  const chain = sessionChainOf(run.held.chain.tenant, node.sessionId);
  return node.at === 'compensating' ? withEffect(run.deps.store, chain, arrival) : arrival;
}

function begin(run: Run, id: string): void {
  const node = run.held.state.nodes.get(id);
  if (node?.at !== 'running' && node?.at !== 'waiting' && node?.at !== 'compensating') return;
  run.retriable.delete(id);
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const done = arrive(run, id, node, signal).then((arrival) => {
    run.arrivals.push(arrival);
    run.wake();
  });
  run.driving.set(id, { done, stop });
}

async function cancelSession(run: Run, id: string): Promise<void> {
  const node = run.held.state.nodes.get(id);
  if (node === undefined || !('sessionId' in node) || run.canceled.has(node.sessionId)) return;
  run.canceled.add(node.sessionId);
  await cancelNode(run.deps, run.held, node.sessionId);
  run.driving.get(id)?.stop.abort();
}

/** Cancels the session of a node. One that was named and never begun, or that has ended, has nothing to be canceled. */
export async function cancelNode(deps: WorkflowDeps, held: HeldWorkflow, sessionId: string): Promise<void> {
  try {
    await deps.sessions.cancel(held.facts.caller, sessionId, 'Its workflow ended.');
  } catch (thrown) {
    const { code } = asRuntimeError(thrown);
    if (code !== 'NOT_FOUND' && code !== 'SESSION_CLOSED') throw thrown;
  }
}

// Of the last: the session goes on from the call, and asks a person; another attempt would make the effect twice.
const PASSED_ON: ReadonlySet<string> = new Set(['STORE_UNAVAILABLE', 'STORE_CORRUPT', 'SIDE_EFFECT_UNKNOWN']);

function isStopped(said: ManagedResult): boolean {
  return said.kind === 'suspended' && said.why === 'stopped';
}

/** What this process is about to record, and where that leads. */
interface Ahead {
  drafts: WorkflowDraft[];
  state: LiveWorkflow;
}

function goAhead(run: Run, ahead: Ahead, drafts: readonly WorkflowDraft[]): void {
  const held = { ...run.held, state: ahead.state };
  ahead.state = foresee(run.deps, { held, drafts, at: run.deps.clock.now() });
  ahead.drafts.push(...drafts);
}

/** Takes in how branches ended. A store that cannot answer is no node's failure: the invocation ends and can be resumed. */
function settle(run: Run, ahead: Ahead): void {
  for (let arrival = run.arrivals.shift(); arrival !== undefined; arrival = run.arrivals.shift()) {
    run.driving.delete(arrival.node);
    if ('thrown' in arrival) {
      if (PASSED_ON.has(asRuntimeError(arrival.thrown).code)) throw arrival.thrown;
      if (run.signal.aborted) continue;
    } else if (leaving(run) === 'handing_on' && isStopped(arrival.said)) continue;
    const now = run.deps.clock.now();
    const draft = draftOf(arrival, { state: ahead.state, graph: run.graph, outputs: run.outputs, now });
    if (draft === undefined) continue;
    goAhead(run, ahead, [draft]);
    const output = draft.event.type === 'node_completed' ? outputFrom(draft.sealed ?? null) : undefined;
    if (output !== undefined) run.outputs.set(arrival.node, output);
  }
}

/** Takes in what others wrote: that the workflow is to be canceled. */
async function refresh(run: Run): Promise<void> {
  const { deps, held } = run;
  const head = await deps.store.head(held.chain);
  if (head !== undefined && head.seq !== held.state.seq) {
    held.state = await catchUp(deps.store, held.chain, held.state);
  }
}

function dueIn(run: Run, { wakes }: Plan): number | undefined {
  const now = run.deps.clock.now();
  const isBusy = run.driving.size > 0;
  const near = wakes
    .filter(({ why, at }) => isBusy || (why === 'retry' && at - now <= PATIENCE_MS))
    .map(({ at }) => at - now);
  return near.length === 0 ? undefined : Math.min(...near, PATIENCE_MS);
}

/** Until a branch delivers, a time comes, or somebody calls. */
async function pause(run: Run, due: number | undefined): Promise<void> {
  if (run.arrivals.length > 0) return;
  await new Promise<void>((go) => {
    run.wake = go;
    const cancel = due === undefined ? undefined : run.deps.clock.after(due, go);
    const leave = (): void => go();
    run.signal.addEventListener('abort', leave, { once: true });
    run.wake = () => {
      cancel?.();
      run.signal.removeEventListener('abort', leave);
      go();
    };
  });
  run.wake = () => undefined;
}

/** What ended, and all that follows from it at once, in one commit; then what nothing more follows from is the plan. */
async function advance(run: Run): Promise<Plan | undefined> {
  await refresh(run);
  const { held, deps, graph, outputs } = run;
  const ahead: Ahead = { drafts: [], state: held.state };
  settle(run, ahead);
  for (;;) {
    await learnOutputs(deps.store, held.chain, { state: ahead.state, graph, known: outputs });
    const next = plan(ahead.state, viewOf(run));
    if (next.events.length === 0) {
      if (ahead.drafts.length === 0) return next;
      await record(run, ahead.drafts);
      return undefined;
    }
    goAhead(
      run,
      ahead,
      next.events.map((event) => ({ event }) as WorkflowDraft),
    );
  }
}

/** One question to the plan and what follows from it; false when nothing can move any more. */
async function step(run: Run): Promise<boolean> {
  const next = await advance(run);
  if (next === undefined) return true;
  for (const id of next.runs) begin(run, id);
  for (const id of next.cancels) await cancelSession(run, id);
  const due = dueIn(run, next);
  if (run.driving.size > 0 || (due !== undefined && !run.signal.aborted)) {
    await pause(run, due);
    return true;
  }
  if (next.closing === undefined) return false;
  await record(run, [{ event: next.closing } as WorkflowDraft]);
  return true;
}

// What else a session is suspended for is for a person to see to.
const PASSING: ReadonlySet<string | undefined> = new Set<SuspendedWhy>(['busy', 'stopped', 'interrupted']);

function isTried(id: string, node: NodeState, tries: Invocation['tries']): boolean {
  if (node.at !== 'waiting' && node.at !== 'compensating') return false;
  if (typeof tries === 'object') return tries.node === id;
  if (tries !== 'unasked') return tries === 'all';
  return node.hold?.kind === 'approval' || PASSING.has(node.hold?.why);
}

function retriableOf(state: LiveWorkflow, { tries }: Invocation): Set<string> {
  return new Set([...state.nodes].flatMap(([id, node]) => (isTried(id, node, tries) ? [id] : [])));
}

/**
 * Before anything of it runs, what was left by its process shows as under way again, and what its timers begin is bounded as
 * it is resumed: its branches may come to the very same, of which nothing is recorded.
 */
async function takeUp(run: Run): Promise<void> {
  const { state } = run.held;
  const isNews = state.interrupted !== undefined || boundOf(run) !== state.maxTurns;
  if (!isNews || state.end !== undefined) return;
  const isSaid = run.how.reason === 'resumed'; // by `record` itself
  await record(run, isSaid ? [] : [resumed(run)]);
}

export interface InvokeInput {
  held: HeldWorkflow;
  how: Invocation;
  io: TurnIo;
  /** Told how to wake this invocation from outside, and told again when it is over. */
  onWake?: (wake: (() => void) | undefined) => void;
}

async function finish(run: Run): Promise<void> {
  for (const { stop } of run.driving.values()) stop.abort();
  await Promise.all([...run.driving.values()].map(({ done }) => done));
}

/** Carries the workflow on until nothing moves without a person, a time or a budget; its state is then in `held`. */
export async function invoke(deps: WorkflowDeps, { held, how, io, onWake }: InvokeInput): Promise<void> {
  const box = { wake: (): void => undefined };
  const hold = await deps.holds.take(held.chain, async () => {
    box.wake();
    return true;
  });
  try {
    held.state = await catchUp(deps.store, held.chain, held.state);
    const run: Run = {
      deps,
      held,
      graph: await createGraph(held.definition),
      hold,
      how,
      io,
      branches: createBranchIo(io),
      signal: AbortSignal.any([io.signal, hold.over.signal]),
      outputs: new Map(),
      driving: new Map(),
      arrivals: [],
      retriable: retriableOf(held.state, how),
      fresh: new Set(),
      canceled: new Set(),
      hasMoved: false,
      wake: () => undefined,
    };
    box.wake = () => run.wake();
    onWake?.(box.wake);
    try {
      await takeUp(run);
      while (await step(run)) if (hold.over.aborted) throw lost(held);
    } finally {
      await finish(run);
    }
  } finally {
    onWake?.(undefined);
    await hold.release();
  }
}

function lost(held: HeldWorkflow): RuntimeError {
  return new RuntimeError('CONFLICT', 'Another run holds this workflow.', {
    reason: 'run_held',
    session_id: held.chain.id,
  });
}
