// A session that is started at once is born held and begun, or not at all.
import { expect, test } from 'vitest';
import { mintSessionId } from '../../src/index.ts';
import type { ManagedResult, StartManaged } from '../../src/pack/managed/contract.ts';
import type { Store } from '../../src/store/contract.ts';
import { ask, boot, CALLER, createWorld, IO, LONG, OTHER } from './rig.ts';
import type { Process, World } from './rig.ts';

const start = (at: Process, over: Partial<StartManaged> = {}, how: object = {}): Promise<ManagedResult> =>
  at.managed.start(CALLER, { ...ask(), ...over }, how, IO);

async function sessions({ store }: World): Promise<number> {
  return (await store.list({ kind: 'session', tenant: 'local', limit: 9 })).items.length;
}

async function types(at: Process, sessionId: string): Promise<string[]> {
  return (await at.rig.records(sessionId)).map(({ header }) => header.type);
}

test('its birth, its hold and the start of its run are there together, before its first turn', async () => {
  const world = createWorld({ mind: LONG(1) });
  const at = boot(world);
  const done = await start(at);
  expect(done).toMatchObject({ kind: 'completed', turn_count: 2, tool_call_count: 1 });
  const [birth] = at.rig.counted.commits;
  expect(birth?.appends?.map(({ type }) => type)).toEqual([
    'session_started',
    'session_admitted',
    'invocation_started',
  ]);
  const [, , begun] = await at.rig.records(done.session_id);
  expect(begun?.header.epoch).toBe(1);
  expect((await types(at, done.session_id)).slice(3, 5)).toEqual(['turn_started', 'turn_completed']);
});

test('what is refused before leaves nothing behind, and holds nothing', async () => {
  const world = createWorld();
  const at = boot(world);
  const sessionId = mintSessionId();
  await expect(start(at, { sessionId }, { maxTurns: 0 })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    details: { field: '/maxTurns' },
  });
  const controller = new AbortController();
  controller.abort();
  const canceled = at.managed.start(CALLER, { ...ask(), sessionId }, {}, { signal: controller.signal });
  await expect(canceled).rejects.toMatchObject({ code: 'CANCELED' });
  expect(await sessions(world)).toBe(0);
  expect(await start(at, { sessionId })).toMatchObject({ kind: 'completed', session_id: sessionId });
});

test('under an id that is there already nothing is born, and a foreign one answers as if absent', async () => {
  const world = createWorld();
  const at = boot(world);
  const sessionId = mintSessionId();
  const first = await start(at, { sessionId });
  expect(await start(at, { sessionId })).toEqual(first);
  expect(at.model.inputs).toHaveLength(1);
  expect(await sessions(world)).toBe(1);
  await expect(at.managed.start(OTHER, { ...ask(), sessionId }, {}, IO)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

/** Calls `first` before the first lease is claimed. */
function meanwhile(store: Store, first: () => Promise<unknown>): Store {
  let isDone = false;
  return {
    ...store,
    async claim(...args) {
      if (!isDone) {
        isDone = true;
        await first();
      }
      return store.claim(...args);
    },
  };
}

test('a session that another process creates in between is run, and not born twice', async () => {
  const world = createWorld({ mind: LONG(1) });
  const other = boot(world);
  const sessionId = mintSessionId();
  const create = (): Promise<unknown> => other.managed.create(CALLER, { ...ask(), sessionId });
  const at = boot(world, (store) => meanwhile(store, create));
  expect(await start(at, { sessionId })).toMatchObject({ kind: 'completed', tool_call_count: 1 });
  const all = await types(at, sessionId);
  expect(all.filter((type) => type === 'session_started')).toHaveLength(1);
  expect(all.filter((type) => type === 'invocation_started')).toHaveLength(1);
  expect(world.effects).toHaveLength(1);
});

test('of two that start the same id at once one runs it, and the other is told who does', async () => {
  const world = createWorld({ mind: LONG(1) });
  const sessionId = mintSessionId();
  const both = await Promise.allSettled([boot(world), boot(world)].map((at) => start(at, { sessionId })));
  const failed = both.filter((one) => one.status === 'rejected');
  expect(failed.map((one): unknown => one.reason)).toMatchObject([
    { code: 'CONFLICT', details: { reason: 'run_held', session_id: sessionId } },
  ]);
  expect(world.effects).toHaveLength(1);
  expect(await sessions(world)).toBe(1);
});

test('whoever works for a run that is stopped hears an AbortError, whatever its caller gives as the reason', async () => {
  const at = boot(createWorld({ mind: LONG(1) }));
  const controller = new AbortController();
  let heard: unknown;
  at.rig.tool.run = async (_execution, signal) => {
    controller.abort('enough');
    heard = signal.reason;
    return { kind: 'failed', code: 'CANCELED', message: 'stopped', sideEffect: 'not_executed', notes: [] };
  };
  const stopped = await at.managed.start(CALLER, ask(), {}, { signal: controller.signal });
  expect(stopped).toMatchObject({ kind: 'suspended' });
  expect(heard).toMatchObject({ name: 'AbortError' });
});

test('one whose time has passed before it begins asks no model', async () => {
  const world = createWorld();
  const at = boot(world);
  const late = await start(at, { expiresAt: world.clock.now() });
  expect(late).toMatchObject({ kind: 'expired', status: 'expired', turn_count: 0 });
  expect(at.model.inputs).toEqual([]);
});
