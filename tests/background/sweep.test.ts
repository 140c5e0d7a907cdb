// Shows the look for runs whose process has gone: they are suspended and say so, and every other run is left alone.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import { startSweep } from '../../src/pack/background/sweep.ts';
import { verifies } from '../e2e/verifies.ts';
import { boot, CALLER, createWorld, dyingStore, id, IO, listed, LONG } from '../managed/rig.ts';
import type { Death, Process, World } from '../managed/rig.ts';

/** The ids that a look suspends. */
async function swept(world: World, at: Process): Promise<string[]> {
  const { store, clock } = world;
  const sweep = startSweep({
    store,
    clock,
    queue: createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' }),
    tenants: () => ['local'],
    recover: (run) => at.managed.recover(CALLER, run.id),
  });
  await sweep.stop(); // its first look has ended
  return sweep.look();
}

/** A session whose process dies while its model is asked for the second time. */
async function leftBehind(world: World, over: object = {}): Promise<string> {
  const sessionId = await id(boot(world), over);
  const death: Death = { happened: false };
  const victim = boot(world, (store) => dyingStore(store, 6, 'after', death));
  await expect(victim.resume(sessionId)).rejects.toThrow();
  world.dead.add(victim.instance);
  return sessionId;
}

async function told(world: World, sessionId: string): Promise<unknown> {
  const { body } = (await world.store.row('session', 'local', sessionId)) ?? {};
  return body?.reason;
}

verifies(
  { partial: ['QB-06', 'QB-08'] },
  'a run whose process has gone is suspended, says why, and goes on when it is resumed',
  async () => {
    const world = createWorld({ mind: LONG(3) });
    const sessionId = await leftBehind(world);
    const heir = boot(world);
    expect(await listed(heir, sessionId)).toBe('active');
    await swept(world, heir);
    expect(await listed(heir, sessionId)).toBe('suspended');
    expect(await told(world, sessionId)).toContain('The process that ran it has gone');
    expect(await swept(world, heir)).toEqual([]);
    const done = await heir.managed.run(CALLER, sessionId, {}, IO);
    expect(done).toMatchObject({ kind: 'completed', tool_call_count: 3 });
    expect(world.effects).toHaveLength(3);
  },
);

test('a run under way, a run in the queue and the session of a node are left alone', async () => {
  const world = createWorld({ mind: LONG(1) });
  const heir = boot(world);
  const parent = { workflow_id: 'ses_w', node_id: 'a', attempt: 1, iteration: 1 };
  const ofNode = await leftBehind(world, { parent });
  const queued = await leftBehind(world);
  await createQueue({ ...world, maxQueued: 9, agentId: 'agent-1' }).admit(CALLER, {
    id: queued,
    kind: 'session',
  });
  const live = boot(world);
  const underWay = await id(live);
  const during: unknown[] = [];
  live.rig.tool.run = async () => {
    during.push(await swept(world, heir), await listed(heir, underWay));
    return { kind: 'result', content: [], isError: false, notes: [] };
  };
  await expect(live.resume(underWay)).resolves.toMatchObject({ kind: 'completed' });
  expect(during).toEqual([[], 'active']);
  expect([await listed(heir, ofNode), await listed(heir, queued)]).toEqual(['active', 'active']);
});

test.each([0, 1])('one that is damaged keeps no other from being found: %i', async (which) => {
  const world = createWorld({ mind: LONG(3) });
  const left = [await leftBehind(world), await leftBehind(world)];
  const [damaged, whole] = which === 0 ? left : left.toReversed();
  const heir = boot(world);
  const { store, clock } = world;
  const said: unknown[] = [];
  const sweep = startSweep({
    ...{ store, clock, tenants: () => ['local'] },
    queue: createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' }),
    recover: (run) =>
      run.id === damaged
        ? Promise.reject(new RuntimeError('STORE_CORRUPT'))
        : heir.managed.recover(CALLER, run.id),
    log: (_level, _message, facts) => void said.push(facts),
  });
  await sweep.stop();
  expect(await listed(heir, whole ?? '')).toBe('suspended');
  expect(said).toEqual(
    expect.arrayContaining([
      { session_id: damaged, code: 'STORE_CORRUPT', message: expect.any(String) as string },
    ]),
  );
});
