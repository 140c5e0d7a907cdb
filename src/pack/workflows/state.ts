// Owns what a workflow is at any moment: a union for each node, one for the whole, and the one pure function that moves
// them. What happens next is plan.ts; what a record means is events.ts.
//
// W1  A state is a fold of the workflow's own records and of nothing else. It holds no output and no message: where one
//     is needed, the state has the position of the record that sealed it.
// W2  An event that a state does not allow is refused and changes nothing; the fold passes over it.
// W3  A node that has ended stays ended, but for its compensation; a workflow that has ended stays ended.
// W4  Each run of a node has a session of its own, named before it exists: attempt and iteration never share one.
import type { EpochMs } from '../../base/clock.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { SuspendedWhy } from '../managed/state.ts';

/** One run of a node: which attempt of which iteration. */
export interface RunMark {
  attempt: number;
  iteration: number;
}

export interface RunPlace extends RunMark {
  sessionId: string;
}

export type SkipReason = 'condition' | 'dependencies_skipped' | 'dependency_failed';

/** What a node's session waits for. `why` decides; the reason, which may be redacted, is for reading. */
export type Hold =
  | { kind: 'approval'; requestId: string; seq: number }
  | { kind: 'suspended'; why?: SuspendedWhy; reason: string };

export type NodeState =
  | { at: 'pending' }
  /** isDue: its wake time, if it has one, has passed. lastSeq: the output of the iteration before. */
  | ({ at: 'ready'; isDue: boolean; lastSeq?: number } & RunMark)
  | ({ at: 'scheduled'; wakeAt: EpochMs; why: 'wake_at' | 'retry'; lastSeq?: number } & RunMark)
  /** Its session is held by another run. */
  | ({ at: 'parked'; wakeAt: EpochMs; lastSeq?: number } & RunPlace)
  | ({ at: 'running'; lastSeq?: number } & RunPlace)
  | ({ at: 'waiting'; hold: Hold; lastSeq?: number } & RunPlace)
  /** seq: the record that holds its output. */
  | ({ at: 'completed'; seq: number } & RunPlace)
  | { at: 'skipped'; reason: SkipReason }
  | { at: 'error'; error: LoopError; attempt: number }
  | { at: 'canceled' }
  | { at: 'compensating'; seq: number; sessionId: string; attempt: number; hold?: Hold; wakeAt?: EpochMs }
  /** Its compensation failed and has another attempt. */
  | { at: 'to_compensate'; seq: number; attempt: number; wakeAt: EpochMs }
  | { at: 'compensated'; seq: number }
  | { at: 'uncompensated'; seq: number; error: LoopError };

export type WorkflowEnd =
  | { as: 'completed' }
  | { as: 'error'; nodeId: string; error: LoopError }
  | { as: 'canceled'; reason: string };

export interface LiveWorkflow {
  seq: number;
  /** In the order of the definition. */
  nodes: ReadonlyMap<string, NodeState>;
  /** The first node that failed for good. */
  failedNode: string | undefined;
  cancelReason: string | undefined;
  /** The process that ran it has gone, and nobody has carried it on since. */
  interrupted: string | undefined;
  /** Turns of each invocation, as whoever started or last resumed it said; a wake has nobody to ask. */
  maxTurns: number | undefined;
  /** Every session that was named for it, in the order of their names. */
  sessions: readonly string[];
  end: WorkflowEnd | undefined;
}

export type WorkflowState = { status: 'absent'; seq: number } | ({ status: 'live' } & LiveWorkflow);

/** Where an event stands in the chain. */
export interface At {
  seq: number;
}

export type NodeEvent = { node: string } & (
  | { type: 'node_ready' | 'join_ready' }
  | { type: 'node_scheduled'; wakeAt: EpochMs; why: 'wake_at' | 'held' }
  | { type: 'wakeup_fired' }
  | ({ type: 'node_started' } & RunPlace)
  | { type: 'node_waiting'; requestId: string }
  | { type: 'node_suspended'; why?: SuspendedWhy; reason: string }
  | { type: 'node_completed' }
  | { type: 'node_retried'; wakeAt: EpochMs; error: LoopError }
  | { type: 'loop_iterated' }
  | { type: 'node_failed'; error: LoopError }
  | { type: 'node_skipped'; reason: SkipReason }
  | { type: 'compensation_started'; sessionId: string; attempt: number }
  | { type: 'node_compensated' }
  | { type: 'compensation_retried'; wakeAt: EpochMs; error: LoopError }
  | { type: 'compensation_failed'; error: LoopError }
);

export type WorkflowEvent =
  | { type: 'workflow_started'; nodes: readonly string[]; maxTurns?: number }
  | { type: 'workflow_resumed'; maxTurns?: number }
  | { type: 'workflow_interrupted'; reason: string }
  | NodeEvent
  | { type: 'cancel_requested'; reason: string }
  | { type: 'workflow_completed' }
  | { type: 'workflow_failed'; nodeId: string; error: LoopError }
  | { type: 'workflow_canceled'; reason: string }
  /** A record of another type, or one whose payload was erased; it moves the position only. */
  | { type: 'passed' };

export const ABSENT: WorkflowState = { status: 'absent', seq: 0 };

const FIRST: RunMark = { attempt: 1, iteration: 1 };

function placeOf({ sessionId, attempt, iteration, ...rest }: RunPlace & { lastSeq?: number }): RunPlace & {
  lastSeq?: number;
} {
  return { sessionId, attempt, iteration, ...(rest.lastSeq === undefined ? {} : { lastSeq: rest.lastSeq }) };
}

function markOf(node: RunMark & { lastSeq?: number }): RunMark & { lastSeq?: number } {
  const { attempt, iteration, lastSeq } = node;
  return { attempt, iteration, ...(lastSeq === undefined ? {} : { lastSeq }) };
}

type Moved = NodeState | undefined;
type Of<T extends NodeState['at']> = Extract<NodeState, { at: T }>;

function fromPending(event: NodeEvent): Moved {
  switch (event.type) {
    case 'node_ready':
    case 'join_ready':
      return { at: 'ready', isDue: false, ...FIRST };
    case 'node_skipped':
      return { at: 'skipped', reason: event.reason };
    case 'node_failed':
      return { at: 'error', error: event.error, attempt: 0 };
    default:
      return undefined;
  }
}

function fromReady(node: Of<'ready'>, event: NodeEvent): Moved {
  switch (event.type) {
    case 'node_scheduled':
      return node.isDue || event.why !== 'wake_at'
        ? undefined
        : { at: 'scheduled', wakeAt: event.wakeAt, why: 'wake_at', ...markOf(node) };
    case 'node_started': {
      const isItsRun = event.attempt === node.attempt && event.iteration === node.iteration;
      return isItsRun
        ? { at: 'running', ...placeOf({ ...markOf(node), sessionId: event.sessionId }) }
        : undefined;
    }
    case 'node_failed':
      return { at: 'error', error: event.error, attempt: node.attempt };
    default:
      return undefined;
  }
}

function suspension({ why, reason }: Extract<NodeEvent, { type: 'node_suspended' }>): Hold {
  return { kind: 'suspended', ...(why === undefined ? {} : { why }), reason };
}

/** The events by which a session's run ends, from every state in which it may be carried on. */
function fromRun(node: Of<'running' | 'waiting' | 'parked'>, event: NodeEvent, seq: number): Moved {
  switch (event.type) {
    case 'node_waiting':
      return { at: 'waiting', hold: { kind: 'approval', requestId: event.requestId, seq }, ...placeOf(node) };
    case 'node_suspended':
      return { at: 'waiting', hold: suspension(event), ...placeOf(node) };
    case 'node_scheduled':
      return event.why === 'wake_at' ? undefined : { at: 'parked', wakeAt: event.wakeAt, ...placeOf(node) };
    case 'wakeup_fired':
      return node.at === 'parked' ? { at: 'running', ...placeOf(node) } : undefined;
    case 'node_completed': {
      const { lastSeq: _lastSeq, ...place } = placeOf(node);
      return { at: 'completed', seq, ...place };
    }
    case 'node_retried': {
      const { attempt, ...mark } = markOf(node);
      return { at: 'scheduled', wakeAt: event.wakeAt, why: 'retry', ...mark, attempt: attempt + 1 };
    }
    case 'loop_iterated':
      return { at: 'ready', isDue: true, attempt: 1, iteration: node.iteration + 1, lastSeq: seq };
    case 'node_failed':
      return { at: 'error', error: event.error, attempt: node.attempt };
    default:
      return undefined;
  }
}

function fromCompensating(node: Of<'compensating'>, event: NodeEvent, seq: number): Moved {
  const { hold: _hold, wakeAt: _wakeAt, ...bare } = node;
  switch (event.type) {
    case 'node_waiting':
      return { ...bare, hold: { kind: 'approval', requestId: event.requestId, seq } };
    case 'node_suspended':
      return { ...bare, hold: suspension(event) };
    case 'node_scheduled':
      return event.why === 'wake_at' ? undefined : { ...bare, wakeAt: event.wakeAt };
    case 'wakeup_fired':
      return node.wakeAt === undefined ? undefined : bare;
    case 'node_compensated':
      return { at: 'compensated', seq: node.seq };
    case 'compensation_retried':
      return { at: 'to_compensate', seq: node.seq, attempt: node.attempt + 1, wakeAt: event.wakeAt };
    case 'compensation_failed':
      return { at: 'uncompensated', seq: node.seq, error: event.error };
    default:
      return undefined;
  }
}

/** The attempt at its compensation that is next, and no other. */
function undone({ seq }: { seq: number }, next: number, event: NodeEvent): Moved {
  if (event.type !== 'compensation_started' || event.attempt !== next) return undefined;
  return { at: 'compensating', seq, sessionId: event.sessionId, attempt: next };
}

type Settled = Of<'skipped' | 'error' | 'canceled' | 'compensated' | 'uncompensated'>;
const SETTLED: ReadonlySet<NodeState['at']> = new Set<Settled['at']>([
  'skipped',
  'error',
  'canceled',
  'compensated',
  'uncompensated',
]);

function isSettled(node: NodeState): node is Settled {
  return SETTLED.has(node.at);
}

/** The node after the event, or undefined when this state does not allow it (W2). */
export function moveNode(node: NodeState, event: NodeEvent, seq: number): NodeState | undefined {
  if (isSettled(node)) return undefined;
  switch (node.at) {
    case 'pending':
      return fromPending(event);
    case 'ready':
      return fromReady(node, event);
    case 'scheduled':
      return event.type === 'wakeup_fired' ? { at: 'ready', isDue: true, ...markOf(node) } : undefined;
    case 'parked':
    case 'running':
    case 'waiting':
      return fromRun(node, event, seq);
    case 'completed':
      return undone(node, 1, event);
    case 'to_compensate':
      return undone(node, node.attempt, event);
    case 'compensating':
      return fromCompensating(node, event, seq);
  }
}

export function isEnded(node: NodeState): boolean {
  return node.at === 'completed' || isSettled(node);
}

function stopped(node: NodeState): NodeState {
  if (isEnded(node)) return node;
  if (node.at !== 'compensating' && node.at !== 'to_compensate') return { at: 'canceled' };
  const error: LoopError = { code: 'CANCELED', message: 'The workflow ended before this was compensated.' };
  return { at: 'uncompensated', seq: node.seq, error };
}

/** What had not ended when the workflow did will not run any more. */
function ended(state: LiveWorkflow, end: WorkflowEnd): LiveWorkflow {
  const nodes = [...state.nodes].map(([id, node]): [string, NodeState] => [id, stopped(node)]);
  return { ...state, end, nodes: new Map(nodes) };
}

/** Once something is undone, nothing begins or goes on any more; what was running had ended by then. */
function undoing(nodes: ReadonlyMap<string, NodeState>): Map<string, NodeState> {
  const halted = (node: NodeState): NodeState =>
    isEnded(node) || node.at === 'running' || node.at === 'compensating' ? node : { at: 'canceled' };
  return new Map([...nodes].map(([id, node]): [string, NodeState] => [id, halted(node)]));
}

function moveOne(state: LiveWorkflow, event: NodeEvent, seq: number): LiveWorkflow | undefined {
  const node = state.nodes.get(event.node);
  const moved = node === undefined ? undefined : moveNode(node, event, seq);
  if (moved === undefined) return undefined;
  const before = event.type === 'compensation_started' ? undoing(state.nodes) : state.nodes;
  const nodes = new Map(before).set(event.node, moved);
  const failedNode = state.failedNode ?? (event.type === 'node_failed' ? event.node : undefined);
  const isNamed = event.type === 'node_started' || event.type === 'compensation_started';
  const sessions = isNamed ? [...state.sessions, event.sessionId] : state.sessions;
  return { ...state, nodes, failedNode, sessions };
}

function moveLive(state: LiveWorkflow, event: WorkflowEvent, seq: number): LiveWorkflow | undefined {
  if ('node' in event) return moveOne(state, event, seq);
  switch (event.type) {
    case 'workflow_started':
      return undefined;
    case 'passed':
      return state;
    case 'workflow_resumed':
      return { ...state, maxTurns: event.maxTurns };
    case 'workflow_interrupted':
      return state.interrupted === undefined ? { ...state, interrupted: event.reason } : undefined;
    case 'cancel_requested':
      return state.cancelReason === undefined ? { ...state, cancelReason: event.reason } : undefined;
    case 'workflow_completed':
      return [...state.nodes.values()].every(isEnded) ? ended(state, { as: 'completed' }) : undefined;
    case 'workflow_failed':
      return ended(state, { as: 'error', nodeId: event.nodeId, error: event.error });
    case 'workflow_canceled':
      return ended(state, { as: 'canceled', reason: event.reason });
  }
}

/** Whatever else happens to it, somebody carries it on. */
function goingOn(state: LiveWorkflow): LiveWorkflow {
  return state.interrupted === undefined ? state : { ...state, interrupted: undefined };
}

export type Applied = { ok: true; state: WorkflowState } | { ok: false; refused: string };

/** The state after one more event at `seq`, or why it cannot be (W2). Never throws. */
export function apply(state: WorkflowState, event: WorkflowEvent, { seq }: At): Applied {
  if (event.type === 'passed') return { ok: true, state: { ...state, seq } };
  if (state.status === 'absent') {
    if (event.type !== 'workflow_started') return { ok: false, refused: `${event.type} before the start` };
    const nodes = new Map(event.nodes.map((id): [string, NodeState] => [id, { at: 'pending' }]));
    const none = { failedNode: undefined, cancelReason: undefined, interrupted: undefined, end: undefined };
    const { maxTurns } = event;
    return { ok: true, state: { status: 'live', seq, nodes, sessions: [], maxTurns, ...none } };
  }
  if (state.end !== undefined) return { ok: false, refused: `${event.type} after the end` };
  const moved = moveLive(event.type === 'workflow_interrupted' ? state : goingOn(state), event, seq);
  if (moved !== undefined) return { ok: true, state: { ...moved, status: 'live', seq } };
  const of = 'node' in event ? ` of ${event.node} in ${state.nodes.get(event.node)?.at ?? 'no state'}` : '';
  return { ok: false, refused: `${event.type}${of}` };
}

/** The same for what is already recorded: a record that means nothing here only moves the position (W2). */
export function fold(state: WorkflowState, event: WorkflowEvent, at: At): WorkflowState {
  const applied = apply(state, event, at);
  return applied.ok ? applied.state : { ...state, seq: at.seq };
}
