import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { TurnFailure, TurnInput, TurnOutput } from '../../src/pack/turn/contract.ts';
import type { ModelProvider } from '../../src/providers/contract.ts';
import type { Store } from '../../src/store/contract.ts';
import { asks, createPackRig, evidenceOf, rigConfig, user } from './rig.ts';
import type { Rig } from './rig.ts';

const HI: TurnInput = { messages: [user('hi')] };

describe('bounds and faults of a turn', () => {
  test('intents: pinned by the host, narrowed by the model, never widened', async () => {
    const intents = {
      wide: { id: 'wide', description: 'all', allowTools: ['look', 'note'], approvalRequiredTools: ['pay'] },
      narrow: { id: 'narrow', description: 'less', allowTools: ['look'], approvalRequiredTools: [] },
    };
    const rig = createPackRig({ config: { ...rigConfig(), intents } });
    const named = (intent: string, tool: string) => ({
      ...asks(tool),
      text: JSON.stringify({ status: 'tool_request', intent }),
    });
    rig.model.next(named('narrow', 'note'), named('wide', 'note'));
    const narrowed = await rig.ok({ ...HI, intent: 'wide' });
    expect([narrowed.intent, narrowed.decision?.decision]).toEqual(['narrow', 'deny']);
    expect((await rig.run(narrowed))?.status).toBe('denied');
    const widened = await rig.fails({ ...HI, intent: 'narrow' });
    expect(widened.error).toMatchObject({
      code: 'PROVIDER_MALFORMED_RESPONSE',
      details: { reason: 'unknown_intent' },
    });
    expect(rig.model.inputs[1]?.intents.map((one) => one.id)).toEqual(['narrow']);

    const { session_id } = narrowed;
    expect((await rig.fails({ ...HI, intent: 'none' })).error.details.field).toBe('/intent');
    expect((await rig.ok({ ...HI, session_id, intent: 'narrow' })).intent).toBe('narrow');
    const tight = await rig.ok({ ...HI, intent: 'narrow' });
    expect((await rig.fails({ ...HI, session_id: tight.session_id, intent: 'wide' })).error.code).toBe(
      'INVALID_INPUT',
    );
    // Without an intent nothing is offered where intents are configured.
    await rig.ok(HI);
    expect(rig.model.inputs.at(-1)?.tools).toEqual([]);
  });

  test('tool hops of a run are bounded apart from its turns', async () => {
    const rig = createPackRig();
    rig.model.next(
      asks('look', { n: 1 }),
      asks('look', { n: 2 }),
      asks('look', { n: 3 }),
      asks('look', { n: 4 }),
    );
    let turn = await rig.ok(HI);
    for (let hop = 0; hop < 3; hop++) {
      await rig.run(turn);
      turn = await rig.ok({ messages: [], session_id: turn.session_id });
    }
    expect(rig.model.inputs.map((one) => one.tools.length > 0)).toEqual([true, true, true, false]);
    expect(turn.decision?.reasons[0]).toContain('tool hops');
    expect(rig.effects).toHaveLength(3);
    await rig.ok({ ...HI, session_id: turn.session_id });
    expect(rig.model.inputs.at(-1)?.tools.length).toBeGreaterThan(0);
  });

  test('a store that cannot record: no provider call, and no answer without a record', async () => {
    const rig = createPackRig();
    rig.counted.fail = () => new RuntimeError('STORE_UNAVAILABLE');
    expect((await rig.fails(HI)).error.code).toBe('STORE_UNAVAILABLE');
    expect(rig.model.inputs).toEqual([]);
    rig.counted.fail = (commit) =>
      commit.guards?.some((guard) => guard.key.includes('|turns|')) === true
        ? new RuntimeError('STORE_UNAVAILABLE')
        : undefined;
    const lost = await rig.fails(HI);
    expect(lost.error.code).toBe('STORE_UNAVAILABLE');
    rig.counted.fail = undefined;
    const session_id = lost.session_id ?? '';
    const next = await rig.ok({ messages: [], session_id });
    expect(next.turn_index).toBe(1);
    const types = (await rig.records(session_id)).map((one) => one.header.type);
    expect(types.slice(1)).toEqual(['turn_started', 'turn_failed', 'turn_started', 'turn_completed']);
    expect(rig.model.inputs.at(-1)?.messages.at(-1)).toEqual({ role: 'user', content: 'hi' });
  });

  test('a caller that has left is not served, and that is recorded', async () => {
    const rig = createPackRig();
    const gone = { io: { signal: AbortSignal.abort() } };
    expect(await rig.turn(HI, gone)).toMatchObject({ error: { code: 'CANCELED' } });
    expect(rig.model.inputs).toEqual([]);
    expect(rig.counted.commits).toHaveLength(1);
  });

  test('a turn of another process that began beside a refusal keeps its run', async () => {
    const other = createPackRig({ seed: 'other', instance: 'inst_other' });
    other.model.next(asks('look', { n: 1 }), asks('look', { n: 2 }));
    const { session_id, run_id } = await other.ok(HI);
    const config = rigConfig();
    config.policy.loopBudget = { maxIterations: 1 };
    let between = true;
    const commit: Store['commit'] = async (one) => {
      if (between && one.appends?.[0]?.type === 'turn_refused') {
        between = false;
        expect((await other.ok({ ...HI, session_id })).run_id).toBe(run_id);
      }
      return other.store.commit(one);
    };
    const rig = createPackRig({ config, clock: other.clock, store: { ...other.store, commit } });
    expect((await rig.fails({ ...HI, session_id })).error.code).toBe('LIMIT_EXCEEDED');
    const last = (await other.records(session_id)).at(-1);
    expect(last?.header.type).toBe('turn_refused');
    expect(evidenceOf(last).run_ended).toBeUndefined();
    expect(await other.store.row('run', 'local', run_id)).toMatchObject({ status: 'in_progress' });
    expect((await other.ok({ ...HI, session_id })).run_id).toBe(run_id);
  });

  /**
   * A session of `other` whose second turn is asked of its model; its outcome stands still until `release`, as does that of
   * the call that `begin` begins before.
   */
  async function leftBehind(begin: (other: Rig, first: TurnOutput) => unknown = () => undefined): Promise<{
    other: Rig;
    rig: Rig;
    turn: Promise<TurnOutput | TurnFailure>;
    of: TurnOutput;
    release: () => void;
  }> {
    const other = createPackRig({ seed: 'other', instance: 'inst_other' });
    other.model.next(asks('look', { n: 1 }));
    const of = await other.ok(HI);
    const { session_id } = of;
    await begin(other, of);
    let release = (): void => undefined;
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow: ModelProvider = {
      ...other.model,
      async generate(input, io) {
        await isReleased;
        return other.model.generate(input, io);
      },
    };
    const { store, clock } = other;
    const zombie = createPackRig({ store, clock, seed: 'zombie', instance: 'inst_z', provider: () => slow });
    const turn = zombie.turn({ ...HI, session_id });
    await expect.poll(async () => (await other.records(session_id)).at(-1)?.header.type).toBe('turn_started');
    const config = rigConfig();
    config.policy.loopBudget = { maxIterations: 1 };
    const rig = createPackRig({ config, store, clock, seed: 'next', isAlive: async () => false });
    return { other, rig, turn, of, release };
  }

  test('a turn of a process that was taken for dead does not take back the run that a budget ended', async () => {
    const { other, rig, turn, of, release } = await leftBehind();
    const { session_id, run_id } = of;
    expect((await rig.fails({ ...HI, session_id })).error.code).toBe('LIMIT_EXCEEDED');
    release();
    expect(await turn).toMatchObject({ error: { code: 'CONFLICT' } });
    expect(await other.store.row('run', 'local', run_id)).toMatchObject({ status: 'failed' });
    const told = (await other.records(session_id)).slice(-3);
    expect(told.map(({ header }) => header.type)).toEqual(['turn_started', 'turn_failed', 'turn_refused']);
    expect(evidenceOf(told[1])).toMatchObject({ turn_index: 1, reason: 'process_ended', run_id });
    expect(evidenceOf(told[2])).toMatchObject({ turn_index: 2, run_ended: true, run_id });
    // The session goes on with a run of its own.
    const later = await other.ok({ ...HI, session_id });
    expect(later).toMatchObject({ turn_index: 3 });
    expect(later.run_id).not.toBe(run_id);
    expect(await other.store.row('run', 'local', later.run_id)).toMatchObject({ status: 'success' });
  });

  test('a call that is recorded beside a refusal does not keep the run open', async () => {
    let finish = (): unknown => undefined;
    const { other, rig, turn, of, release } = await leftBehind(async (host, first) => {
      host.tool.run = () =>
        new Promise((resolve) => {
          finish = () => {
            resolve({ kind: 'result', content: [], isError: false, notes: [] });
            return call;
          };
        });
      const call = host.run(first);
      await expect.poll(() => host.effects.length).toBe(1);
    });
    const { session_id, run_id } = of;
    const { commit } = rig.store;
    rig.store.commit = async (one) => {
      rig.store.commit = commit;
      await finish();
      return commit(one);
    };
    expect((await rig.fails({ ...HI, session_id })).error.code).toBe('LIMIT_EXCEEDED');
    const told = (await other.records(session_id)).slice(-4);
    const types = told.map(({ header }) => header.type);
    expect(types).toEqual(['turn_started', 'call_finished', 'turn_failed', 'turn_refused']);
    expect(evidenceOf(told[3])).toMatchObject({ run_ended: true, run_id });
    expect(await other.store.row('run', 'local', run_id)).toMatchObject({ status: 'failed' });
    release();
    expect(await turn).toMatchObject({ error: { code: 'CONFLICT' } });
  });

  test('a refusal does not end the run of a turn that ended it by itself meanwhile', async () => {
    const { other, rig, turn, of, release } = await leftBehind();
    const { commit } = rig.store;
    rig.store.commit = async (one) => {
      rig.store.commit = commit;
      release();
      await turn;
      return commit(one);
    };
    expect((await rig.fails({ ...HI, session_id: of.session_id })).error.code).toBe('LIMIT_EXCEEDED');
    expect(await turn).toMatchObject({ status: 'reply' });
    expect(await other.store.row('run', 'local', of.run_id)).toMatchObject({ status: 'success' });
  });
});
