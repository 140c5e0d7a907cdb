// Owns what a workflow does next: a pure function of its state, its graph and the time. Running, recovering, resuming and
// waking ask it the same question; nothing else decides.
//
// P1  It names a move only where apply allows it, so a planned event is never refused.
// P2  A wake is planned at or after its time, never before.
// P3  A session is run only in a slot; slots are taken by what runs and by what this process drives.
import type { EpochMs } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { inputsOf, nodesBefore } from './graph.ts';
import type { Graph, GraphNode, Outputs } from './graph.ts';
import { isEnded } from './state.ts';
import type { LiveWorkflow, NodeEvent, NodeState, RunMark, WorkflowEvent } from './state.ts';

export interface PlanView {
  graph: Graph;
  now: EpochMs;
  outputs: Outputs;
  /** The nodes whose sessions this process is running now. */
  driving: ReadonlySet<string>;
  /** The waiting nodes that this invocation has yet to try again. */
  retriable: ReadonlySet<string>;
  /** The caller has left: nothing new begins. `handing_on`: it is to go on by itself, with whoever looks at timers next. */
  leaving: 'for_good' | 'handing_on' | undefined;
  sessionIdFor(node: string, run: RunMark | { undo: number }): string;
}

export interface Wake {
  node: string;
  at: EpochMs;
  why: 'wake_at' | 'retry' | 'held';
}

export interface Plan {
  /** Recorded together, before anything else. */
  events: WorkflowEvent[];
  /** Nodes whose session is to be run. */
  runs: string[];
  /** Nodes whose session is to be canceled; then `closing` is recorded, once nothing is driven. */
  cancels: string[];
  closing?: WorkflowEvent;
  /** What only time can move. */
  wakes: Wake[];
}

const NOTHING: Plan = { events: [], runs: [], cancels: [], wakes: [] };

function failure(node: string, code: ErrorCode, message: string): NodeEvent {
  return { type: 'node_failed', node, error: { code, message } };
}

const FAILED: ReadonlySet<NodeState['at']> = new Set(['error', 'canceled', 'uncompensated']);

function isFailed(node: NodeState): boolean {
  return FAILED.has(node.at) || (node.at === 'skipped' && node.reason === 'dependency_failed');
}

/** A node whose dependencies have all ended: skipped, failed, or ready. */
function decide(id: string, one: GraphNode, state: LiveWorkflow, outputs: Outputs): NodeEvent {
  const before = one.dependsOn.flatMap((dependency) => state.nodes.get(dependency) ?? []);
  if (before.some(isFailed)) return { type: 'node_skipped', node: id, reason: 'dependency_failed' };
  if (before.length > 0 && before.every(({ at }) => at === 'skipped')) {
    return { type: 'node_skipped', node: id, reason: 'dependencies_skipped' };
  }
  const inputs = inputsOf(one, state.nodes, outputs);
  const isAsked = one.when !== undefined;
  if (!inputs.ok) return failure(id, 'INVALID_INPUT', `Its inputs do not fit: ${inputs.why}.`);
  if (isAsked) {
    const nodes = nodesBefore(one, state.nodes, outputs);
    const answer = one.when?.evaluate({ inputs: inputs.values, nodes });
    if (answer === false) return { type: 'node_skipped', node: id, reason: 'condition' };
    if (answer !== true) {
      const why = answer?.problem ?? 'it has no answer';
      return failure(id, 'INVALID_INPUT', `Its condition could not be evaluated: ${why}.`);
    }
  }
  return { type: before.length > 0 ? 'join_ready' : 'node_ready', node: id };
}

function slotsOf(state: LiveWorkflow, view: PlanView): number {
  const taken = new Set(view.driving);
  for (const [id, node] of state.nodes) if (node.at === 'running') taken.add(id);
  return view.graph.concurrency - taken.size;
}

interface Draft extends Plan {
  slots: number;
}

function planReady(
  id: string,
  node: Extract<NodeState, { at: 'ready' }>,
  draft: Draft,
  view: PlanView,
): void {
  const wakeAt = view.graph.nodes.get(id)?.wakeAt;
  if (!node.isDue && wakeAt !== undefined && wakeAt > view.now) {
    draft.events.push({ type: 'node_scheduled', node: id, wakeAt, why: 'wake_at' });
  } else if (draft.slots > 0) {
    draft.slots -= 1;
    const { attempt, iteration } = node;
    const sessionId = view.sessionIdFor(id, { attempt, iteration });
    draft.events.push({ type: 'node_started', node: id, sessionId, attempt, iteration });
  }
}

function planWake(id: string, wake: Omit<Wake, 'node'>, draft: Draft, view: PlanView): void {
  if (wake.at > view.now) draft.wakes.push({ node: id, ...wake });
  // P3: what is parked runs as soon as it wakes.
  else if (wake.why === 'wake_at' || wake.why === 'retry')
    draft.events.push({ type: 'wakeup_fired', node: id });
  else if (draft.slots > 0) {
    draft.slots -= 1;
    draft.events.push({ type: 'wakeup_fired', node: id });
  }
}

function planNode(id: string, state: LiveWorkflow, draft: Draft, view: PlanView): void {
  const node = state.nodes.get(id);
  const one = view.graph.nodes.get(id);
  if (node === undefined || one === undefined) return;
  switch (node.at) {
    case 'pending': {
      const isOpen = one.dependsOn.some((dependency) => !isEnded(state.nodes.get(dependency) ?? node));
      if (!isOpen) draft.events.push(decide(id, one, state, view.outputs));
      return;
    }
    case 'ready':
      planReady(id, node, draft, view);
      return;
    case 'scheduled':
      planWake(id, { at: node.wakeAt, why: node.why }, draft, view);
      return;
    case 'parked':
      planWake(id, { at: node.wakeAt, why: 'held' }, draft, view);
      return;
    case 'running':
      if (!view.driving.has(id)) draft.runs.push(id);
      return;
    case 'waiting':
      if (view.driving.has(id) || !view.retriable.has(id) || draft.slots <= 0) return;
      draft.slots -= 1;
      draft.runs.push(id);
      return;
    default:
      return;
  }
}

function errorOf(
  state: LiveWorkflow,
  id: string | undefined,
): Extract<WorkflowEvent, { type: 'workflow_failed' }> {
  const node = id === undefined ? undefined : state.nodes.get(id);
  if (id !== undefined && node?.at === 'error')
    return { type: 'workflow_failed', nodeId: id, error: node.error };
  const code = 'AGENT_RUNTIME_WORKFLOW_STALLED';
  const message = 'Workflow has incomplete nodes but no ready or scheduled work.';
  return { type: 'workflow_failed', nodeId: id ?? 'workflow', error: { code, message } };
}

/** Everything may go on. */
function advance(state: LiveWorkflow, view: PlanView): Plan {
  const draft: Draft = { events: [], runs: [], cancels: [], wakes: [], slots: slotsOf(state, view) };
  for (const id of view.graph.nodes.keys()) planNode(id, state, draft, view);
  const { slots: _slots, ...plan } = draft;
  const nodes = [...state.nodes.values()];
  if (nodes.every(isEnded)) {
    const end = state.failedNode === undefined ? ({ type: 'workflow_completed' } as const) : undefined;
    return { ...plan, events: [end ?? errorOf(state, state.failedNode)] };
  }
  const isHeldUp = nodes.some(({ at }) => at === 'waiting' || at === 'scheduled' || at === 'parked');
  const isMoving = plan.events.length > 0 || plan.runs.length > 0 || view.driving.size > 0;
  return isHeldUp || isMoving ? plan : { ...plan, events: [errorOf(state, undefined)] };
}

const WAITS: ReadonlySet<NodeState['at']> = new Set(['waiting', 'parked']);
const HAS_SESSION: ReadonlySet<NodeState['at']> = new Set(['running', 'waiting', 'parked', 'compensating']);

function idsIn(state: LiveWorkflow, places: ReadonlySet<NodeState['at']>): string[] {
  return [...state.nodes].filter(([, node]) => places.has(node.at)).map(([id]) => id);
}

/** Nothing begins; what lives is canceled, and then the end is recorded. */
function close(state: LiveWorkflow, closing: WorkflowEvent): Plan {
  return { ...NOTHING, cancels: idsIn(state, HAS_SESSION), closing };
}

function lastCompensable(state: LiveWorkflow, graph: Graph): string | undefined {
  let found: { id: string; seq: number } | undefined;
  for (const [id, node] of state.nodes) {
    if (node.at !== 'completed' || graph.nodes.get(id)?.node.compensate === undefined) continue;
    if (found === undefined || node.seq > found.seq) found = { id, seq: node.seq };
  }
  return found?.id;
}

type CompensationStarted = Extract<NodeEvent, { type: 'compensation_started' }>;

function undo(node: string, attempt: number, view: PlanView): CompensationStarted {
  const sessionId = view.sessionIdFor(node, { undo: attempt });
  return { type: 'compensation_started', node, sessionId, attempt };
}

function planCompensating(id: string, state: LiveWorkflow, view: PlanView): Plan {
  const node = state.nodes.get(id);
  if (node?.at === 'to_compensate') {
    return node.wakeAt <= view.now
      ? { ...NOTHING, events: [undo(id, node.attempt, view)] }
      : { ...NOTHING, wakes: [{ node: id, at: node.wakeAt, why: 'retry' }] };
  }
  if (node?.at !== 'compensating' || view.driving.has(id)) return NOTHING;
  if (node.wakeAt !== undefined) {
    return node.wakeAt <= view.now
      ? { ...NOTHING, events: [{ type: 'wakeup_fired', node: id }] }
      : { ...NOTHING, wakes: [{ node: id, at: node.wakeAt, why: 'held' }] };
  }
  const mayRun = node.hold === undefined || view.retriable.has(id);
  return { ...NOTHING, runs: mayRun ? [id] : [] };
}

/** What runs, or is to run on as soon as nobody else holds it; undefined: nothing does. */
function letFinish(state: LiveWorkflow, view: PlanView): Plan | undefined {
  const running = idsIn(state, new Set(['running']));
  const draft: Draft = { events: [], runs: [], cancels: [], wakes: [], slots: slotsOf(state, view) };
  let isAny = running.length > 0;
  for (const [id, node] of state.nodes) {
    if (node.at !== 'parked') continue;
    isAny = true;
    planWake(id, { at: node.wakeAt, why: 'held' }, draft, view);
  }
  const { slots: _slots, ...plan } = draft;
  return isAny ? { ...plan, runs: running.filter((id) => !view.driving.has(id)) } : undefined;
}

/**
 * What runs is let finish, for it may have an effect; what waits will not go on, so nobody is asked for it any more; then
 * what was done is undone, last first, one at a time.
 */
function compensate(state: LiveWorkflow, view: PlanView): Plan {
  const begun = letFinish(state, view);
  if (begun !== undefined) return begun;
  const [current] = idsIn(state, new Set(['compensating', 'to_compensate']));
  if (current !== undefined) return planCompensating(current, state, view);
  if (view.driving.size > 0) return NOTHING;
  const next = lastCompensable(state, view.graph);
  if (next === undefined) return close(state, errorOf(state, state.failedNode));
  return { ...NOTHING, cancels: idsIn(state, WAITS), closing: undo(next, 1, view) };
}

/** By what has failed, and what is to follow from that. */
function goOn(state: LiveWorkflow, view: PlanView): Plan {
  const { failurePolicy } = view.graph;
  if (state.failedNode === undefined || failurePolicy === 'continue') return advance(state, view);
  return failurePolicy === 'compensate'
    ? compensate(state, view)
    : close(state, errorOf(state, state.failedNode));
}

/**
 * What no longer runs here is due at once for the next worker; what follows from what has ended is recorded still, for
 * nobody has a timer for it: the end itself, and the nodes that are next, which are then handed on in turn.
 */
function handOn(state: LiveWorkflow, view: PlanView): Plan {
  const { now, driving } = view;
  const isLeft = (node: NodeState): boolean =>
    node.at === 'running' ||
    (node.at === 'compensating' && node.hold === undefined && node.wakeAt === undefined);
  const left = [...state.nodes].filter(([id, node]) => isLeft(node) && !driving.has(id));
  const events = left.map(([node]): NodeEvent => ({
    type: 'node_scheduled',
    node,
    wakeAt: now,
    why: 'held',
  }));
  if (left.length > 0 || driving.size > 0) return { ...NOTHING, events };
  const next = goOn(state, view);
  if (next.closing !== undefined) return next;
  return { ...NOTHING, events: next.events.filter(({ type }) => type !== 'wakeup_fired') };
}

export function plan(state: LiveWorkflow, view: PlanView): Plan {
  if (state.end !== undefined) return NOTHING;
  if (state.cancelReason !== undefined) {
    return close(state, { type: 'workflow_canceled', reason: state.cancelReason });
  }
  if (view.leaving === undefined) return goOn(state, view);
  return view.leaving === 'handing_on' ? handOn(state, view) : NOTHING;
}
