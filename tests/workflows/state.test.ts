import { describe, expect, test } from 'vitest';
import { eventOf, evidenceOf, WORKFLOW_RECORDS } from '../../src/pack/workflows/events.ts';
import { plan } from '../../src/pack/workflows/plan.ts';
import type { PlanView } from '../../src/pack/workflows/plan.ts';
import { createGraph } from '../../src/pack/workflows/graph.ts';
import { ABSENT, apply, fold, isEnded, moveNode } from '../../src/pack/workflows/state.ts';
import type {
  LiveWorkflow,
  NodeEvent,
  NodeState,
  WorkflowEvent,
  WorkflowState,
} from '../../src/pack/workflows/state.ts';
import { DIAMOND } from './rig.ts';

const error = { code: 'INTERNAL' as const, message: 'x' };
const run = { attempt: 1, iteration: 1 };
const place = { ...run, sessionId: 'ses_1' };

const STATES: { [K in NodeState['at']]: Extract<NodeState, { at: K }> } = {
  pending: { at: 'pending' },
  ready: { at: 'ready', isDue: false, ...run },
  scheduled: { at: 'scheduled', wakeAt: 5, why: 'retry', ...run },
  parked: { at: 'parked', wakeAt: 5, ...place },
  running: { at: 'running', ...place },
  waiting: { at: 'waiting', hold: { kind: 'suspended', reason: 'x' }, ...place },
  completed: { at: 'completed', seq: 3, ...place },
  skipped: { at: 'skipped', reason: 'condition' },
  error: { at: 'error', error, attempt: 1 },
  canceled: { at: 'canceled' },
  compensating: { at: 'compensating', seq: 3, sessionId: 'ses_2', attempt: 1 },
  to_compensate: { at: 'to_compensate', seq: 3, attempt: 1, wakeAt: 5 },
  compensated: { at: 'compensated', seq: 3 },
  uncompensated: { at: 'uncompensated', seq: 3, error },
};

const EVENTS: Record<NodeEvent['type'], NodeEvent> = {
  node_ready: { type: 'node_ready', node: 'a' },
  join_ready: { type: 'join_ready', node: 'a' },
  node_scheduled: { type: 'node_scheduled', node: 'a', wakeAt: 9, why: 'held' },
  wakeup_fired: { type: 'wakeup_fired', node: 'a' },
  node_started: { type: 'node_started', node: 'a', ...place },
  node_waiting: { type: 'node_waiting', node: 'a', requestId: 'apr' },
  node_suspended: { type: 'node_suspended', node: 'a', reason: 'x' },
  node_completed: { type: 'node_completed', node: 'a' },
  node_retried: { type: 'node_retried', node: 'a', wakeAt: 9, error },
  loop_iterated: { type: 'loop_iterated', node: 'a' },
  node_failed: { type: 'node_failed', node: 'a', error },
  node_skipped: { type: 'node_skipped', node: 'a', reason: 'condition' },
  compensation_started: { type: 'compensation_started', node: 'a', sessionId: 'ses_2', attempt: 1 },
  node_compensated: { type: 'node_compensated', node: 'a' },
  compensation_retried: { type: 'compensation_retried', node: 'a', wakeAt: 9, error },
  compensation_failed: { type: 'compensation_failed', node: 'a', error },
};

const RUN_ENDS = {
  node_waiting: 'waiting',
  node_suspended: 'waiting',
  node_scheduled: 'parked',
  node_completed: 'completed',
  node_retried: 'scheduled',
  loop_iterated: 'ready',
  node_failed: 'error',
};

/** Every move that there is; whatever is not named here is refused. */
const MOVES: Record<NodeState['at'], Record<string, string>> = {
  pending: { node_ready: 'ready', join_ready: 'ready', node_skipped: 'skipped', node_failed: 'error' },
  ready: { node_started: 'running', node_failed: 'error' },
  scheduled: { wakeup_fired: 'ready' },
  parked: { ...RUN_ENDS, wakeup_fired: 'running' },
  running: RUN_ENDS,
  waiting: RUN_ENDS,
  completed: { compensation_started: 'compensating' },
  skipped: {},
  error: {},
  canceled: {},
  compensating: {
    node_waiting: 'compensating',
    node_suspended: 'compensating',
    node_scheduled: 'compensating',
    node_compensated: 'compensated',
    compensation_retried: 'to_compensate',
    compensation_failed: 'uncompensated',
  },
  to_compensate: { compensation_started: 'compensating' },
  compensated: {},
  uncompensated: {},
};

function liveWith(node: NodeState): LiveWorkflow & { status: 'live' } {
  const nodes = new Map([['a', node]]);
  const common = { failedNode: undefined, cancelReason: undefined, interrupted: undefined, end: undefined };
  return { status: 'live', seq: 7, nodes, sessions: [], maxTurns: undefined, ...common };
}

describe('a node', () => {
  test('moves by the listed events only, in every state', () => {
    for (const state of Object.values(STATES)) {
      for (const event of Object.values(EVENTS)) {
        const moved = moveNode(state, event, 8);
        expect([state.at, event.type, moved?.at]).toEqual([
          state.at,
          event.type,
          MOVES[state.at][event.type],
        ]);
      }
    }
  });

  test('is scheduled for its own wake time once, and is started as the run that was due', () => {
    const timed: NodeEvent = { type: 'node_scheduled', node: 'a', wakeAt: 9, why: 'wake_at' };
    expect(moveNode(STATES.ready, timed, 8)).toMatchObject({ at: 'scheduled', wakeAt: 9 });
    expect(moveNode({ ...STATES.ready, isDue: true }, timed, 8)).toBeUndefined();
    expect(moveNode(STATES.running, timed, 8)).toBeUndefined();
    expect(
      moveNode(STATES.ready, { type: 'node_started', node: 'a', ...place, attempt: 2 }, 8),
    ).toBeUndefined();
  });
});

describe('a workflow', () => {
  const whole: WorkflowEvent[] = [
    ...Object.values(EVENTS),
    { type: 'workflow_started', nodes: ['b'] },
    { type: 'workflow_resumed' },
    { type: 'workflow_resumed', maxTurns: 3 },
    { type: 'workflow_interrupted', reason: 'x' },
    { type: 'cancel_requested', reason: 'x' },
    { type: 'workflow_completed' },
    { type: 'workflow_failed', nodeId: 'a', error },
    { type: 'workflow_canceled', reason: 'x' },
  ];

  test('takes nothing before its start, and nothing after its end', () => {
    for (const event of whole) {
      expect([event.type, apply(ABSENT, event, { seq: 1 }).ok]).toEqual([
        event.type,
        event.type === 'workflow_started',
      ]);
      const over: WorkflowState = { ...liveWith(STATES.completed), end: { as: 'completed' } };
      expect([event.type, apply(over, event, { seq: 8 }).ok]).toEqual([event.type, false]);
      expect(fold(over, event, { seq: 8 })).toEqual({ ...over, seq: 8 });
    }
  });

  test('completes only when every node has ended, and ends no node twice', () => {
    for (const node of Object.values(STATES)) {
      const completed = apply(liveWith(node), { type: 'workflow_completed' }, { seq: 8 });
      expect([node.at, completed.ok]).toEqual([node.at, isEnded(node)]);
      const canceled = apply(liveWith(node), { type: 'workflow_canceled', reason: 'x' }, { seq: 8 });
      const after =
        canceled.ok && canceled.state.status === 'live' ? canceled.state.nodes.get('a') : undefined;
      expect(isEnded(after ?? STATES.pending)).toBe(true);
      if (isEnded(node)) expect(after).toBe(node);
    }
  });

  test('is read back from its records as it was meant', () => {
    for (const event of whole) {
      if (event.type === 'workflow_started' || event.type === 'passed') continue;
      expect(eventOf(event.type, evidenceOf(event))).toEqual(event);
      expect(WORKFLOW_RECORDS).toContain(event.type);
      expect(eventOf(event.type, undefined)).toEqual({ type: 'passed' });
    }
    expect(eventOf('turn_started', {})).toEqual({ type: 'passed' });
  });
});

describe('a plan', () => {
  const DEFINITION = { nodes: DIAMOND, concurrency: 2 } as never;
  const view = async (more: Partial<PlanView> = {}): Promise<PlanView> => ({
    graph: await createGraph(DEFINITION),
    now: 5,
    outputs: new Map(),
    driving: new Set(),
    retriable: new Set(),
    leaving: undefined,
    sessionIdFor: (id) => `ses_${id}`,
    ...more,
  });
  const nodesOf = (states: Record<string, NodeState>): LiveWorkflow => ({
    ...liveWith(STATES.pending),
    nodes: new Map(
      Object.entries({
        a: STATES.completed,
        b: STATES.pending,
        c: STATES.pending,
        d: STATES.pending,
        ...states,
      }),
    ),
  });

  test('wakes at the time, not before, and starts within the slots', async () => {
    const waits = nodesOf({ b: STATES.scheduled, c: STATES.running });
    expect(plan(waits, await view({ now: 4, driving: new Set(['c']) }))).toMatchObject({
      events: [],
      runs: [],
      wakes: [{ node: 'b', at: 5, why: 'retry' }],
    });
    expect(plan(waits, await view()).events).toEqual([{ type: 'wakeup_fired', node: 'b' }]);
    const ready = nodesOf({ b: STATES.ready, c: STATES.ready });
    const one = plan(ready, await view({ driving: new Set(['x']) })).events;
    expect(one).toEqual([{ type: 'node_started', node: 'b', sessionId: 'ses_b', attempt: 1, iteration: 1 }]);
  });

  test('carries on what a dead process left, and says it when nothing can move', async () => {
    expect(plan(nodesOf({ b: STATES.running, c: STATES.waiting }), await view()).runs).toEqual(['b']);
    expect(plan(nodesOf({ c: STATES.waiting }), await view({ retriable: new Set(['c']) })).runs).toEqual([
      'c',
    ]);
    const stuck = { ...nodesOf({}), nodes: new Map<string, NodeState>([['ghost', STATES.pending]]) };
    expect(plan(stuck, await view()).events).toMatchObject([
      { type: 'workflow_failed', nodeId: 'workflow', error: { code: 'AGENT_RUNTIME_WORKFLOW_STALLED' } },
    ]);
  });

  test('begins nothing when the caller has left or the workflow is to end', async () => {
    const ready = nodesOf({ b: STATES.ready });
    expect(plan(ready, await view({ leaving: 'for_good' })).events).toEqual([]);
    const ending = { ...nodesOf({ b: STATES.ready, c: STATES.waiting }), cancelReason: 'x' };
    expect(plan(ending, await view())).toMatchObject({
      events: [],
      cancels: ['c'],
      closing: { type: 'workflow_canceled', reason: 'x' },
    });
  });
});
