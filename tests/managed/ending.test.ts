// A session that somebody else than its model ends: canceled or expired, in every state, at rest and under way.
import { describe, expect, test } from 'vitest';
import type { ManagedResult, ManagedStatus } from '../../src/pack/managed/contract.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, boot, CALLER, createWorld, id, IO, listed, LONG, user } from './rig.ts';
import type { Process } from './rig.ts';

describe('ending from outside', () => {
  const reach: Record<string, (at: Process, world: ReturnType<typeof createWorld>) => Promise<string>> = {
    queued: (at) => id(at, { as: 'queued' }),
    active: (at) => id(at),
    suspended: async (at) => (await at.start('go', { maxTurns: 1 })).session_id,
    waiting_approval: async (at, world) => {
      world.mind = () => asks('pay', { sum: 1 });
      return (await at.start('go')).session_id;
    },
    error: async (at, world) => {
      world.mind = () => {
        throw new RuntimeError('PROVIDER_TIMEOUT');
      };
      return (await at.start('go')).session_id;
    },
  };

  verifies(
    ['QB-05'],
    'cancel works in every state that is not an end, and closes what was open',
    async () => {
      for (const [status, make] of Object.entries(reach)) {
        const world = createWorld({ mind: LONG(3) });
        const at = boot(world);
        const sessionId = await make(at, world);
        expect(await at.managed.status(CALLER, sessionId)).toBe(status);
        expect(await boot(world).managed.cancel(CALLER, sessionId, 'not wanted'), status).toEqual({
          status: 'canceled',
        });
        expect(await listed(at, sessionId), status).toBe('canceled');
        world.effects.length = 0;
        await expect(at.resume(sessionId), status).rejects.toMatchObject({
          code: 'SESSION_CLOSED',
          message: 'This session is canceled (not wanted); start a new session to go on.',
        });
        expect(await at.rig.fails({ session_id: sessionId, messages: [user('x')] })).toMatchObject({
          error: { code: 'SESSION_CLOSED' },
        });
        const records = await at.rig.records(sessionId);
        expect(await at.managed.cancel(CALLER, sessionId, 'again')).toEqual({ status: 'canceled' });
        expect(await at.rig.records(sessionId)).toHaveLength(records.length);
        expect((await at.managed.continuations(CALLER, sessionId)).at(-1)).toMatchObject({
          kind: 'canceled',
          reason: 'not wanted',
        });
        expect(world.effects).toEqual([]);
      }
    },
  );

  test('what waited for a person can no longer be approved or run', async () => {
    const world = createWorld();
    const at = boot(world);
    const sessionId = await reach.waiting_approval!(at, world);
    const { items } = await at.rig.store.list({ kind: 'approval', tenant: 'local', limit: 5 });
    await at.managed.cancel(CALLER, sessionId, 'x');
    const approval = await at.rig.kernel.approvalFor('local', items[0]!.id);
    expect(approval).toMatchObject({ state: 'revoked', reason: 'the session was canceled' });
    const { subject } = approval!;
    const requested = await at.rig.pack.requestedCall(CALLER, {
      session_id: sessionId,
      tool_call_id: subject.callId,
    });
    if (requested.kind !== 'call') throw new Error('refused');
    const result = await at.rig.kernel.call(requested.request, {
      progress: () => undefined,
      signal: IO.signal,
    });
    expect(result.status).toBe('canceled');
    expect(world.effects).toEqual([]);
  });

  test('two equal calls that wait for one answer do not keep their session from being canceled', async () => {
    const twice = asks('pay', { sum: 1 });
    const [one] = twice.toolCalls ?? [];
    const world = createWorld({ mind: () => ({ ...twice, toolCalls: [one!, { ...one!, id: 'native-2' }] }) });
    const at = boot(world);
    const { session_id: sessionId } = await at.start('go');
    const { items } = await at.rig.store.list({ kind: 'approval', tenant: 'local', limit: 5 });
    expect(items.map(({ status }) => status)).toEqual(['pending']);
    expect(await at.managed.cancel(CALLER, sessionId, 'x')).toEqual({ status: 'canceled' });
    expect(await at.rig.kernel.approvalFor('local', items[0]!.id)).toMatchObject({ state: 'revoked' });
    expect(world.effects).toEqual([]);
  });

  test('a cancel reaches a run that is under way, in this process and in another', async () => {
    for (const isElsewhere of [false, true]) {
      const world = createWorld({ mind: LONG(3) });
      const at = boot(world);
      const sessionId = await id(at);
      const other = isElsewhere ? boot(world) : at;
      at.rig.tool.run = async (execution) => {
        world.effects.push(execution);
        expect(await other.managed.cancel(CALLER, sessionId, 'stop')).toEqual({ status: 'canceled' });
        return { kind: 'result', content: [], isError: false, notes: [] };
      };
      expect(await at.resume(sessionId)).toMatchObject({
        kind: 'canceled',
        reason: 'stop',
        status: 'canceled',
      });
      expect(world.effects).toHaveLength(1);
    }
  });

  test('a cancel ends a call that hangs: here at once, elsewhere at the next beat of the hold', async () => {
    for (const isElsewhere of [false, true]) {
      const world = createWorld({ mind: LONG(3) });
      world.config.capabilities.note = { ...world.config.capabilities.note!, timeoutSeconds: 3_600 };
      const at = boot(world);
      const sessionId = await id(at);
      const called = new Promise<void>((resolve) => {
        at.rig.tool.run = (execution, signal) => {
          world.effects.push(execution);
          resolve();
          const lost = { code: 'CANCELED', sideEffect: 'side_effect_unknown' } as const;
          return new Promise((done) => {
            signal.addEventListener('abort', () => done({ kind: 'failed', ...lost, message: '', notes: [] }));
          });
        };
      });
      let result: ManagedResult | undefined;
      void at.resume(sessionId).then((ended) => (result = ended));
      await called;
      await (isElsewhere ? boot(world) : at).managed.cancel(CALLER, sessionId, 'stop');
      for (let second = 0; second < 20 && result === undefined; second++) {
        if (isElsewhere) world.clock.advance(1_000);
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
      expect(result).toMatchObject({ kind: 'canceled', history: [{ tool_output: { status: 'unknown' } }] });
    }
  });

  test('a cancel that comes just before the end of a run is written is not undone by it', async () => {
    const world = createWorld();
    const sessionId = await id(boot(world));
    const at = boot(world, (store) => ({
      ...store,
      async commit(commit) {
        if (commit.appends?.some((one) => one.type === 'invocation_ended') === true) {
          await boot(world).managed.cancel(CALLER, sessionId, 'stop');
        }
        return store.commit(commit);
      },
    }));
    expect(await at.resume(sessionId)).toMatchObject({ kind: 'canceled', reason: 'stop' });
    expect(await listed(at, sessionId)).toBe('canceled');
    const types = (await at.rig.records(sessionId)).map((one) => one.header.type);
    expect(types.slice(-2)).toEqual(['session_canceled', 'session_closed']);
  });

  test('a turn that is under way adds nothing to a session that was canceled', async () => {
    const world = createWorld();
    const at = boot(world);
    const sessionId = await id(at);
    let canceled: Promise<unknown> = Promise.resolve();
    world.mind = () => {
      canceled = boot(world).managed.cancel(CALLER, sessionId, 'stop');
      return asks('note');
    };
    const generate = at.model.generate.bind(at.model);
    at.model.generate = async (...args) => {
      const answer = await generate(...args);
      await canceled;
      return answer;
    };
    expect(await at.resume(sessionId)).toMatchObject({ kind: 'canceled', history: [] });
    expect((await at.rig.records(sessionId)).map((one) => one.header.type)).not.toContain('turn_completed');
  });

  test('a session whose time has passed expires, when it is looked at or run, in every open state', async () => {
    const states: ManagedStatus[] = [];
    for (const make of Object.values(reach)) {
      const world = createWorld({ mind: LONG(3) });
      const at = boot(world);
      const create = at.managed.create.bind(at.managed);
      at.managed.create = (caller, input) =>
        create(caller, { ...input, expiresAt: world.clock.now() + 1_000 });
      const sessionId = await make(at, world);
      states.push(await at.managed.status(CALLER, sessionId));
      world.clock.advance(1_000);
      await expect(boot(world).resume(sessionId)).rejects.toMatchObject({
        code: 'SESSION_CLOSED',
        details: { status: 'expired' },
      });
      expect(await at.managed.status(CALLER, sessionId)).toBe('expired');
      expect(await listed(at, sessionId)).toBe('expired');
    }
    expect(states).toEqual(Object.keys(reach));
  });

  test('time that passes during a run ends it as expired', async () => {
    const world = createWorld({ mind: LONG(3) });
    const at = boot(world);
    const sessionId = await id(at, { expiresAt: world.clock.now() + 1_000 });
    at.rig.tool.run = async () => {
      world.clock.setWall(world.clock.now() + 2_000);
      return { kind: 'result', content: [], isError: false, notes: [] };
    };
    expect(await at.resume(sessionId)).toMatchObject({
      kind: 'expired',
      status: 'expired',
      tool_call_count: 1,
    });
  });
});
