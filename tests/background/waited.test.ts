// Shows that a workflow whose node waited for a person longer than a run may wait goes on without that node.
import { expect, test } from 'vitest';
import { createQueue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import { createRuns } from '../../src/runtime/background.ts';
import { asks, boot, CALLER, createWorld, governed, IO, toolsTold, user } from '../managed/rig.ts';

test.each([
  ['its failure policy decides, and nobody has to resume it', false],
  ['also where somebody else saw first that its time had passed', true],
])('%s', async (_what, isSeenBefore) => {
  const world = createWorld({
    mind: (input) =>
      toolsTold(input) === 0 && JSON.stringify(input.messages).includes('pay it')
        ? asks('pay', { sum: 5 })
        : governed({ status: 'complete', assistant_message: 'told' }),
  });
  const { store, clock } = world;
  const { rig, managed, instance } = boot(world);
  const workflows = await rig.pack.workflows();
  const nodes = ['pay it', 'tell it'].map((text, at) => ({
    ...{ id: `n${at}`, execute_turn_input: { messages: [user(text)] } },
    ...(at === 0 ? {} : { depends_on: ['n0'] }),
  }));
  const waits = await workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, IO);
  expect(waits.kind).toBe('approval_required');
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
  const runs = createRuns({
    ...{ clock, queue, managed },
    workflows: () => Promise.resolve(workflows),
    callerOf: () => CALLER,
    approvalFor: rig.kernel.approvalFor.bind(rig.kernel),
  });
  const isAlive = (): Promise<boolean> => Promise.resolve(true);
  const worker = createWorker({
    store,
    clock,
    queue,
    runs,
    instance,
    agentId: 'agent-1',
    isAlive,
    maxRunning: 4,
  });
  const seen: (string | undefined)[] = [];
  for (const seconds of [1_799, 1]) {
    clock.advance(seconds * 1000);
    const [node] = waits.waiting_nodes;
    if (isSeenBefore) await boot(world).managed.status(CALLER, node?.session_id ?? '');
    while ((await worker.tick()) > 0) await worker.settled();
    seen.push((await store.row('session', 'local', 'wf'))?.status);
  }
  expect(seen).toEqual(['waiting_approval', 'error']);
  expect(await workflows.inspect(CALLER, 'wf')).toMatchObject({
    ...{ kind: 'error', over: true, node_id: 'n0' },
    error: { code: 'SESSION_CLOSED' },
  });
});
