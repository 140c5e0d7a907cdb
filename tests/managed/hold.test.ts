// The hold of a run: one at a time, taken over from the dead, and worth nothing once it was lost.
import { expect, test } from 'vitest';
import { createHolds, HOLD_MS } from '../../src/pack/managed/hold.ts';
import type { Holds } from '../../src/pack/managed/hold.ts';
import type { PackDeps } from '../../src/pack/deps.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { asks, boot, createWorld, id, says, toolsTold } from './rig.ts';
import type { World } from './rig.ts';

const CHAIN = { tenant: 'local', aggregate: 'session', id: 'ses_1' } as const;
const goesOn = (): Promise<boolean> => Promise.resolve(true);
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

function holds(world: World, instance: string): Holds {
  const { store, clock, config, dead } = world;
  const isAlive = (other: string): Promise<boolean> => Promise.resolve(!dead.has(other));
  const ids = createFixedIds(instance);
  return createHolds({ store, clock, config, ids, instance, isAlive } as Partial<PackDeps> as PackDeps);
}

test('two runs of one process exclude each other as two processes do, until one lets go', async () => {
  const world = createWorld();
  const one = holds(world, 'inst_1');
  const held = await one.take(CHAIN, goesOn);
  for (const [who, instance] of [
    [one, 'inst_1'],
    [holds(world, 'inst_2'), 'inst_2'],
  ] as const) {
    await expect(who.take(CHAIN, goesOn), instance).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { reason: 'run_held', session_id: 'ses_1', holder: 'inst_1' },
    });
  }
  await held.release();
  expect((await holds(world, 'inst_2').take(CHAIN, goesOn)).epoch).toBe(2);
});

test('a hold is kept for as long as its process renews it', async () => {
  const world = createWorld();
  const held = await holds(world, 'inst_1').take(CHAIN, goesOn);
  for (let beat = 0; beat < 12; beat++) {
    world.clock.advance(HOLD_MS / 3);
    await settle();
  }
  expect(held.over.aborted).toBe(false);
  await expect(holds(world, 'inst_2').take(CHAIN, goesOn)).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('a hold that somebody else had in between is lost, even when it is free again', async () => {
  const world = createWorld();
  const held = await holds(world, 'inst_1').take(CHAIN, goesOn);
  world.dead.add('inst_1');
  const other = await holds(world, 'inst_2').take(CHAIN, goesOn);
  await other.release();
  world.clock.advance(HOLD_MS / 3);
  await settle();
  expect([held.isLost(), held.over.aborted]).toEqual([true, true]);
  expect(held.over.reason).toMatchObject({ name: 'AbortError' });
});

test('a run that was taken for dead and lives writes nothing more, and says that another one holds the session', async () => {
  const world = createWorld({ mind: (input) => (toolsTold(input) === 0 ? asks('note') : says('ok')) });
  const slow = boot(world);
  const sessionId = await id(slow);
  let answer = (): void => undefined;
  const called = new Promise<void>((resolve) => {
    slow.rig.tool.run = (execution) => {
      world.effects.push(execution);
      resolve();
      return new Promise((done) => {
        answer = () => done({ kind: 'result', content: [], isError: false, notes: [] });
      });
    };
  });
  const running = slow.resume(sessionId);
  await called;
  world.dead.add(slow.instance);
  const heir = boot(world);
  const stopped = await heir.resume(sessionId);
  expect(stopped).toMatchObject({ kind: 'suspended', history: [{ tool_output: { status: 'unknown' } }] });
  const records = await heir.rig.records(sessionId);
  answer();
  await expect(running).rejects.toMatchObject({ code: 'CONFLICT', details: { reason: 'run_held' } });
  expect(await heir.rig.records(sessionId)).toHaveLength(records.length);
  expect(world.effects).toHaveLength(1);
});
