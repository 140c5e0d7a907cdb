// Shows a worker beside a workflow's own times and holders: it loses no time of it, and gives up nothing that goes on.
import { expect, test } from 'vitest';
import { createQueue } from '../../src/pack/background/queue.ts';
import type { Queue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import type { Worker } from '../../src/pack/background/worker.ts';
import { createRuns } from '../../src/runtime/background.ts';
import type { RunsDeps } from '../../src/runtime/background.ts';
import { isoTime } from '../../src/base/clock.ts';
import { CALLER, createRig, node } from '../workflows/rig.ts';
import { REASONS } from '../../src/pack/managed/next-step.ts';
import type { Approval } from '../../src/kernel/approvals/approval.ts';
import type { Rig } from '../workflows/rig.ts';

const HOUR = 3_600_000;

function queueOf({ store, clock }: Rig): Queue {
  return createQueue({ store, clock, maxQueued: 10, agentId: 'agent' });
}

function workerOf(
  rig: Rig,
  approvals: ReadonlyMap<string, Approval> = new Map(),
  callerOf: RunsDeps['callerOf'] = () => CALLER,
): Worker {
  const { store, clock, workflows } = rig;
  const queue = queueOf(rig);
  const runs = createRuns({
    clock,
    queue,
    managed: rig.sessions as unknown as RunsDeps['managed'],
    workflows: () => Promise.resolve(workflows),
    callerOf,
    approvalFor: (_tenant, id) => Promise.resolve(approvals.get(id)),
  });
  return createWorker({
    store,
    clock,
    queue,
    runs,
    instance: 'w1',
    agentId: 'agent',
    isAlive: () => Promise.resolve(true),
    maxRunning: 4,
  });
}

async function workOff(one: Worker): Promise<void> {
  while ((await one.tick()) > 0) await one.settled();
}

test('a node that fails when it is woken is tried again at its time', async () => {
  const rig = createRig({ a: [[{ fail: 'PROVIDER_TIMEOUT' }], [{ complete: 'a' }]] });
  const wake_at = isoTime(rig.clock.now() + HOUR);
  const nodes = [node('a', { wake_at, retry: { max_attempts: 2, delay_ms: HOUR } })];
  await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
  const worker = workerOf(rig);
  rig.clock.advance(HOUR);
  await workOff(worker);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'scheduled' });
  rig.clock.advance(HOUR);
  await workOff(worker);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
  expect(await rig.store.claimTimers('w2', rig.clock.now() + HOUR, 1, 10)).toEqual([]);
});

test('a wake time that comes while nobody knows the principal is kept until somebody does', async () => {
  const rig = createRig();
  let isKnown = false;
  const worker = workerOf(rig, new Map(), () => (isKnown ? CALLER : undefined));
  const nodes = [node('a', { wake_at: isoTime(rig.clock.now() + HOUR) })];
  await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
  rig.clock.advance(HOUR);
  for (let round = 0; round < 10; round++) {
    await workOff(worker);
    rig.clock.advance(HOUR);
  }
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'scheduled' });
  isKnown = true;
  await workOff(worker);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
  expect(await rig.store.claimTimers('w2', rig.clock.now() + HOUR, 1, 10)).toEqual([]);
});

test('a run that somebody else carries on, however long, is left to them and not given up', async () => {
  const rig = createRig();
  const [worker, queue] = [workerOf(rig), queueOf(rig)];
  const workflow = { session_id: 'wf', nodes: [node('a')] };
  await rig.workflows.create(CALLER, { workflow });
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  rig.sessions.gate = () => held;
  const theirs = rig.workflows.start(CALLER, { workflow }, rig.io);
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  for (let round = 0; round < 12; round++) {
    await workOff(worker);
    rig.clock.advance(16_000);
  }
  expect(await queue.status(CALLER, 'wf')).toMatchObject({ status: 'in_progress' });
  release();
  expect(await theirs).toMatchObject({ kind: 'completed' });
  await workOff(worker);
  expect(await queue.status(CALLER, 'wf')).toMatchObject({ status: 'completed' });
});

test('no id that a workflow or a node may have takes the place of another timer', async () => {
  const rig = createRig();
  const [worker, queue] = [workerOf(rig), queueOf(rig)];
  await rig.workflows.create(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  const nodes = [node('wf', { wake_at: '2027-01-01T00:00:00Z' })];
  await rig.workflows.start(CALLER, { workflow: { session_id: 'queue', nodes } }, rig.io);
  await workOff(worker);
  expect(await queue.status(CALLER, 'wf')).toMatchObject({ status: 'completed' });
});

test('a branch that used up its turns does not keep another from going on after its time', async () => {
  const rig = createRig({
    a: [{ suspend: 'Invocation turn budget reached.' }],
    b: [{ wait: 'apr' }, { complete: 'b' }],
  });
  const approvals = new Map<string, Approval>();
  const subject = { requestedAt: rig.clock.now() } as Approval['subject'];
  approvals.set('apr', { state: 'pending', subject, deliveries: [] });
  const [worker, queue] = [workerOf(rig, approvals), queueOf(rig)];
  const nodes = [node('a'), node('b', { wake_at: isoTime(rig.clock.now() + HOUR) })];
  await rig.workflows.create(CALLER, { workflow: { session_id: 'wf', nodes } });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  await workOff(worker);
  rig.clock.advance(HOUR);
  await workOff(worker);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'approval_required' });
  approvals.set('apr', { state: 'revoked', subject, deliveries: [], revokedAt: 0, reason: '' });
  await queue.nudge('local', 'wf');
  await workOff(worker);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ completed_node_ids: ['b'] });
  expect(await queue.status(CALLER, 'wf')).toMatchObject({ status: 'completed' });
});

/** What is due by then is worked off, and what was left to another's hold meanwhile. */
async function later(rig: Rig, worker: Worker, ms: number): Promise<void> {
  for (const step of [ms, 16_000]) {
    rig.clock.advance(step);
    await workOff(worker);
  }
}

test('a branch that used up its turns gets none by the time of another, but by whoever resumes the run', async () => {
  const spent = { suspend: REASONS.budget };
  const rig = createRig({ a: [spent, spent, { complete: 'a' }] });
  const [worker, queue] = [workerOf(rig), queueOf(rig)];
  const hour = (at: number): string => isoTime(rig.clock.now() + at * HOUR);
  const nodes = [node('a'), node('b', { wake_at: hour(1) }), node('c', { wake_at: hour(2) })];
  await rig.workflows.create(CALLER, { workflow: { session_id: 'wf', nodes } });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  await workOff(worker);
  await later(rig, worker, HOUR);
  const runs = (): number => rig.sessions.of('a')[0]!.runs.length;
  expect(runs()).toBe(1);
  await later(rig, worker, HOUR);
  expect(runs()).toBe(1);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ completed_node_ids: ['b', 'c'] });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow', asked: true });
  await workOff(worker);
  expect(runs()).toBe(2);
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow', asked: true });
  await workOff(worker);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
});

test('a branch that its worker or another process broke off goes on by the time of another', async () => {
  const rig = createRig({ a: [{ suspend: REASONS.busy }, { suspend: REASONS.stopped }, { complete: 'a' }] });
  const [worker, queue] = [workerOf(rig), queueOf(rig)];
  const hour = (at: number): string => isoTime(rig.clock.now() + at * HOUR);
  const nodes = [node('a'), node('b', { wake_at: hour(1) }), node('c', { wake_at: hour(2) })];
  await rig.workflows.create(CALLER, { workflow: { session_id: 'wf', nodes } });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  await workOff(worker);
  for (let round = 0; round < 2; round++) await later(rig, worker, HOUR);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
});

test('what was asked for while somebody else held the run is done after them', async () => {
  const rig = createRig({ a: [{ suspend: REASONS.budget }, { complete: 'a' }] });
  const [worker, queue] = [workerOf(rig), queueOf(rig)];
  await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } }, rig.io);
  const chain = { tenant: 'local', aggregate: 'session', id: 'wf' } as const;
  const theirs = await rig.deps.holds.take(chain, () => Promise.resolve(true));
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow', asked: true });
  await workOff(worker);
  await theirs.release();
  await later(rig, worker, 16_000);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
});
