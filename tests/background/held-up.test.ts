// Shows that what is in the queue is carried out in full, whatever keeps the worker from it at first.
import { expect, test } from 'vitest';
import type { Approval } from '../../src/kernel/approvals/approval.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import type { Queue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import type { Worker } from '../../src/pack/background/worker.ts';
import { REASONS } from '../../src/pack/managed/next-step.ts';
import { createRuns } from '../../src/runtime/background.ts';
import type { RunsDeps } from '../../src/runtime/background.ts';
import { CALLER, createRig, node } from '../workflows/rig.ts';
import type { Rig } from '../workflows/rig.ts';

interface Served {
  queue: Queue;
  worker: () => Worker;
  runsOf: (name: string) => number;
}

const PENDING = { state: 'pending', subject: { requestedAt: 0 } } as Approval;

function served({ store, clock, workflows, sessions }: Rig): Served {
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent' });
  const runs = createRuns({
    ...{ clock, queue, managed: sessions as unknown as RunsDeps['managed'] },
    workflows: () => Promise.resolve(workflows),
    callerOf: () => CALLER,
    approvalFor: () => Promise.resolve(PENDING),
  });
  const isAlive = (): Promise<boolean> => Promise.resolve(true);
  return {
    queue,
    worker: () =>
      createWorker({ store, clock, queue, runs, instance: 'w', agentId: 'agent', isAlive, maxRunning: 4 }),
    runsOf: (name) => sessions.of(name)[0]?.runs.length ?? 0,
  };
}

async function workOff(worker: Worker): Promise<void> {
  while ((await worker.tick()) > 0) await worker.settled();
}

const SPENT = { suspend: REASONS.budget };

test('where the workflow was held when its worker came', async () => {
  const rig = createRig({ a: [SPENT, { complete: 'a' }] });
  const { queue, worker, runsOf } = served(rig);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  rig.sessions.gate = (session) => (session.node === 'b' ? held : Promise.resolve());
  const workflow = { session_id: 'wf', nodes: [node('a'), node('b')] };
  const theirs = rig.workflows.start(CALLER, { workflow }, rig.io);
  while (!(await rig.records('wf')).includes('node_suspended a')) await Promise.resolve();
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow', asked: true });
  await workOff(worker());
  rig.clock.advance(16_000);
  await workOff(worker());
  expect(runsOf('a')).toBe(1);
  release();
  expect(await theirs).toMatchObject({ kind: 'suspended', completed_node_ids: ['b'] });
  rig.clock.advance(16_000);
  await workOff(worker());
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
  expect(await queue.status(CALLER, 'wf')).toMatchObject({ status: 'completed' });
});

test('where the worker was told to stop before a branch had its turn', async () => {
  const rig = createRig({ a: [SPENT, { complete: 'a' }], b: [SPENT, { complete: 'b' }] });
  const { queue, worker, runsOf } = served(rig);
  const workflow = { session_id: 'wf', concurrency: 1, nodes: [node('a'), node('b')] };
  await rig.workflows.create(CALLER, { workflow });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  await workOff(worker());
  expect([runsOf('a'), runsOf('b')]).toEqual([1, 1]);
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow', asked: true });
  const first = worker();
  rig.sessions.gate = () => Promise.resolve(void first.stop());
  await workOff(first);
  expect([runsOf('a'), runsOf('b')]).toEqual([2, 1]);
  rig.sessions.gate = () => Promise.resolve();
  await workOff(worker());
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
});

test('once its invocation has ended, what it came to waits for the next one who asks', async () => {
  const rig = createRig({ a: [SPENT] });
  const { queue, worker, runsOf } = served(rig);
  const nodes = [node('a'), node('b', { wake_at: '2026-01-01T01:00:00Z' })];
  await rig.workflows.create(CALLER, { workflow: { session_id: 'wf', nodes } });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow', asked: true });
  await workOff(worker());
  rig.clock.advance(3_600_000);
  await workOff(worker());
  rig.clock.advance(16_000);
  await workOff(worker());
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ completed_node_ids: ['b'] });
  expect(runsOf('a')).toBe(1);
});

test('a branch that another process is at is looked at again, also beside one that somebody has to resume', async () => {
  const rig = createRig({ a: [SPENT], b: [{ suspend: REASONS.busy }, { complete: 'b' }] });
  const { queue, worker, runsOf } = served(rig);
  const workflow = { session_id: 'wf', nodes: [node('a'), node('b')] };
  await rig.workflows.create(CALLER, { workflow });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  await workOff(worker());
  rig.clock.advance(16_000);
  await workOff(worker());
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ completed_node_ids: ['b'] });
  expect(runsOf('a')).toBe(1);
  expect(await queue.status(CALLER, 'wf')).toMatchObject({ status: 'completed' });
});

test('a branch that another process is at is looked at again, also beside one that waits for a person', async () => {
  const rig = createRig({ a: [{ wait: 'apr_1' }], b: [{ suspend: REASONS.busy }, { complete: 'b' }] });
  const { queue, worker } = served(rig);
  const workflow = { session_id: 'wf', nodes: [node('a'), node('b')] };
  await rig.workflows.create(CALLER, { workflow });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  await workOff(worker());
  rig.clock.advance(16_000);
  await workOff(worker());
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ completed_node_ids: ['b'] });
  const { entry } = await queue.status(CALLER, 'wf');
  expect(entry.state).toMatchObject({ at: 'parked', why: 'approval' });
});
