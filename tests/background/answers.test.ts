// Shows a worker that carries on a session which waits for more than one person at once.
import { expect, test } from 'vitest';
import type { Approval } from '../../src/kernel/approvals/approval.ts';
import type { ManagedResult } from '../../src/pack/managed/contract.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import { createRuns } from '../../src/runtime/background.ts';
import { boot, CALLER, createWorld, decide, governed, toolsTold, user } from '../managed/rig.ts';

const NEVER = (): Promise<never> => Promise.reject(new Error('no workflow here'));

test('each call runs when it is approved, whichever is answered first', async () => {
  const world = createWorld({
    mind: (input) =>
      toolsTold(input) > 0
        ? governed({ status: 'complete', assistant_message: 'paid' })
        : {
            toolCalls: [1, 2].map((n) => ({ id: `n${n}`, name: 'pay', rawInput: `{"n":${n}}` })),
            finishReason: 'tool_calls',
          },
  });
  const { rig, managed, instance } = boot(world);
  const { store, clock } = world;
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
  const approvalFor = rig.kernel.approvalFor.bind(rig.kernel);
  const callerOf = (): typeof CALLER => CALLER;
  const runs = createRuns({ clock, queue, managed, workflows: NEVER, callerOf, approvalFor });
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
  const workOff = async (): Promise<void> => {
    while ((await worker.tick()) > 0) await worker.settled();
  };
  const { session_id: id } = await managed.create(CALLER, {
    executeTurnInput: { messages: [user('pay both')] },
    as: 'queued',
  });
  await queue.admit(CALLER, { id, kind: 'session' });
  await workOff();
  const { items } = await store.list({ kind: 'approval', tenant: 'local', status: 'pending', limit: 9 });
  const ids = items.map((one) => one.id);
  const shown = await managed.result(CALLER, id);
  const first = shown?.kind === 'approval_required' ? shown.pending_request_id : '';
  const second = ids.find((one) => one !== first) ?? '';
  await decide(boot(world), second, 'approve');
  await queue.nudge('local', id);
  await workOff();
  expect(world.effects.map((one) => one.args)).toEqual([{ n: 2 }]);
  expect(await managed.result(CALLER, id)).toMatchObject({ pending_request_id: first });
  await decide(boot(world), first, 'approve');
  await queue.nudge('local', id);
  await workOff();
  expect(world.effects.map((one) => one.args)).toEqual([{ n: 2 }, { n: 1 }]);
  expect(await queue.status(CALLER, id)).toMatchObject({ status: 'completed' });
});

test('a call that somebody else began is no answer to go on with while another is asked for', async () => {
  const said = (id: string): object => ({
    tool_output: { status: 'approval_required', approval: { approval_id: id } },
  });
  const result = { kind: 'approval_required', pending_request_id: 'a', history: [said('a'), said('b')] };
  const states: Record<string, string> = { a: 'pending', b: 'consumed' };
  const { rig, managed } = boot(createWorld());
  const runs = createRuns({
    ...{
      clock: rig.clock,
      queue: createQueue({ store: rig.store, clock: rig.clock, maxQueued: 9, agentId: 'agent-1' }),
    },
    managed: { ...managed, result: () => Promise.resolve(result as unknown as ManagedResult) },
    ...{ workflows: NEVER, callerOf: () => CALLER },
    approvalFor: (_tenant, id) =>
      Promise.resolve({ state: states[id], subject: { requestedAt: 0 } } as unknown as Approval),
  });
  const run = {
    tenant: 'local',
    principal: CALLER.principal,
    id: 's',
    kind: 'session',
    asked: true,
  } as const;
  expect(await runs.stillWaits(run)).toMatchObject({ type: 'parked', why: 'approval' });
  for (const answer of ['approved', 'rejected', 'consumed']) {
    states.a = answer;
    expect(await runs.stillWaits(run)).toBeUndefined();
  }
});

test('a run that waits for people ends when its records are gone', async () => {
  const { rig, managed, instance } = boot(createWorld());
  const { store, clock } = rig;
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
  const approvalFor = rig.kernel.approvalFor.bind(rig.kernel);
  const runs = createRuns({ clock, queue, managed, workflows: NEVER, callerOf: () => CALLER, approvalFor });
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
  await queue.admit(CALLER, { id: 'gone', kind: 'session' });
  const { entry } = await queue.status(CALLER, 'gone');
  const taken = await queue.move(entry, { type: 'taken', instance });
  await queue.move(taken!, { type: 'parked', why: 'approval', until: clock.now() });
  await worker.tick();
  await worker.settled();
  expect(await queue.status(CALLER, 'gone')).toMatchObject({ status: 'failed' });
});
