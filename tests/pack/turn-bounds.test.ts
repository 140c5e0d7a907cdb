import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { TurnInput } from '../../src/pack/turn/contract.ts';
import type { Store } from '../../src/store/contract.ts';
import { asks, createPackRig, evidenceOf, rigConfig, user } from './rig.ts';

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
});
