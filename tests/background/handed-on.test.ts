// Shows that what a worker has woken goes on with the next worker when this one is told to stop.
import { expect, test } from 'vitest';
import { isoTime } from '../../src/base/clock.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import type { Worker } from '../../src/pack/background/worker.ts';
import { createRuns } from '../../src/runtime/background.ts';
import { asks, boot, CALLER, createWorld, governed, IO, toolsTold, user } from '../managed/rig.ts';
import type { Process } from '../managed/rig.ts';
import { CALLER as OWNER, createRig, node } from '../workflows/rig.ts';
import type { Scripts } from '../workflows/rig.ts';
import type { Workflows } from '../../src/pack/workflows/contract.ts';

const HOUR = 3_600_000;

function workerOf(
  { store, clock }: Pick<Process['rig'], 'store' | 'clock'>,
  { managed, workflows }: { managed?: Process['managed']; workflows: () => Promise<Workflows> },
): Worker {
  const agentId = managed === undefined ? 'agent' : 'agent-1'; // as each rig has it
  const queue = createQueue({ store, clock, maxQueued: 9, agentId });
  const runs = createRuns({
    ...{ clock, queue, workflows, managed: managed as Process['managed'] },
    callerOf: (_tenant, principal) => ({ ...CALLER, principal }),
    approvalFor: () => Promise.resolve(undefined),
  });
  const isAlive = (): Promise<boolean> => Promise.resolve(true);
  return createWorker({
    store,
    clock,
    queue,
    runs,
    instance: 'w',
    agentId,
    isAlive,
    maxRunning: 4,
  });
}

async function workOff(worker: Worker): Promise<void> {
  while ((await worker.tick()) > 0) await worker.settled();
}

test('a node that was between two turns', async () => {
  const world = createWorld({
    mind: (input) => {
      if (toolsTold(input) > 0) return governed({ status: 'complete', assistant_message: 'seen' });
      void first.stop();
      return asks('look');
    },
  });
  const { rig, managed } = boot(world);
  const workflows = (): Promise<Workflows> => rig.pack.workflows();
  const at = { store: world.store, clock: world.clock };
  const first = workerOf(at, { managed, workflows });
  const wake_at = isoTime(world.clock.now() + HOUR);
  const nodes = [{ id: 'looks', wake_at, execute_turn_input: { messages: [user('x')] } }];
  await (await workflows()).start(CALLER, { workflow: { session_id: 'wf', nodes } }, IO);
  world.clock.advance(HOUR);
  await workOff(first);
  expect(world.effects.length).toBeLessThan(2);
  await workOff(workerOf(at, { managed, workflows }));
  expect(await (await workflows()).inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
  expect(world.effects).toHaveLength(1);
});

test('a node whose run was broken off, and one that was being undone', async () => {
  const rig = createRig({ b: [{ fail: 'INTERNAL' }] });
  const workflows = (): Promise<Workflows> => Promise.resolve(rig.workflows);
  const wake_at = isoTime(rig.clock.now() + HOUR);
  const undo = { execute_turn_input: { messages: [{ role: 'user', content: 'undo' }] } };
  const nodes = [node('a', { wake_at, compensate: undo }), node('b', { depends_on: ['a'] })];
  const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
  await rig.workflows.start(OWNER, { workflow }, rig.io);
  rig.clock.advance(HOUR);
  const broken = new Set<string>();
  let worker = workerOf(rig, { workflows });
  rig.sessions.gate = (session) => {
    if (!broken.has(session.node)) void worker.stop();
    broken.add(session.node);
    return Promise.resolve();
  };
  for (let stops = 0; stops < 4; stops++) {
    await workOff(worker);
    worker = workerOf(rig, { workflows });
  }
  expect([...broken]).toEqual(['a', 'b', 'undo a']);
  const told = await rig.workflows.inspect(OWNER, 'wf');
  expect(told).toMatchObject({ kind: 'error', over: true, node_id: 'b' });
  expect(told.nodes.map(({ status }) => status)).toEqual(['compensated', 'error']);
});

const UNDO = { execute_turn_input: { messages: [{ role: 'user', content: 'undo' }] } };

test.each<[string, Scripts, Record<string, unknown>[], object]>([
  ['the next nodes', {}, [node('b', { depends_on: ['a'] })], { completed_node_ids: ['a', 'b'] }],
  ['the end', {}, [], { kind: 'completed' }],
  ['an end by failure', { a: [{ fail: 'INTERNAL' }] }, [], { kind: 'error' }],
  [
    'what is to be undone',
    { a: [{ fail: 'INTERNAL' }] },
    [node('b', { compensate: UNDO })],
    { kind: 'error', nodes: [{ status: 'error' }, { status: 'compensated' }] },
  ],
])('what follows from a node that ended with the stop: %s', async (_what, scripts, more, told) => {
  const rig = createRig(scripts);
  const workflows = (): Promise<Workflows> => Promise.resolve(rig.workflows);
  const wake_at = isoTime(rig.clock.now() + HOUR);
  const nodes = [node('a', { wake_at }), ...more];
  const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
  await rig.workflows.start(OWNER, { workflow }, rig.io);
  rig.clock.advance(HOUR);
  const first = workerOf(rig, { workflows });
  const { run } = rig.sessions;
  rig.sessions.run = async (...given) => {
    const result = await run(...given);
    void first.stop();
    return result;
  };
  await workOff(first);
  rig.sessions.run = run;
  await workOff(workerOf(rig, { workflows }));
  expect(await rig.workflows.inspect(OWNER, 'wf')).toMatchObject({ over: true, ...told });
  expect(await rig.store.claimTimers('w2', rig.clock.now() + HOUR, 1, 10)).toEqual([]);
});

test('a node that was broken off is let finish and then undone, where another has failed', async () => {
  const rig = createRig({ b: [{ fail: 'INTERNAL' }] });
  const workflows = (): Promise<Workflows> => Promise.resolve(rig.workflows);
  const wake_at = isoTime(rig.clock.now() + HOUR);
  const nodes = [node('a', { wake_at, compensate: UNDO }), node('b', { wake_at })];
  const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
  await rig.workflows.start(OWNER, { workflow }, rig.io);
  rig.clock.advance(HOUR);
  const first = workerOf(rig, { workflows });
  rig.sessions.gate = async ({ node: at, runs }) => {
    if (at !== 'a' || runs.length > 1) return;
    while (!(await rig.records('wf')).includes('node_failed b')) await Promise.resolve();
    void first.stop();
  };
  await workOff(first);
  await workOff(workerOf(rig, { workflows }));
  const told = await rig.workflows.inspect(OWNER, 'wf');
  expect(told).toMatchObject({ kind: 'error', over: true, node_id: 'b' });
  expect(told.nodes.map(({ status }) => status)).toEqual(['compensated', 'error']);
});
