// Owns the proof of what becomes of a call whose outcome cannot be recorded while its process lives on: it is told and
// settled as unknown, its key answers so, and nothing of it is run again.
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/store/contract.ts';
import { answers, AWAY } from './outcomes.ts';
import { createRig, OK } from './rig.ts';
import type { Rig } from './rig.ts';

const ARGS = { key: 'k', title: 'a' };

/** No outcome goes in while it is broken; everything else does. */
function brokenStore(): { wrap: (store: Store) => Store; repair: () => void } {
  let isBroken = true;
  return {
    repair: () => {
      isBroken = false;
    },
    wrap: (store) => ({
      ...store,
      commit: (commit) =>
        isBroken && commit.appends?.[0]?.type === 'call_finished'
          ? Promise.reject(new Error('disk full'))
          : store.commit(commit),
    }),
  };
}

function besides(rig: Rig): Rig {
  const { store, clock } = rig;
  return createRig({
    store,
    clock,
    instance: 'inst_two',
    idSeed: 'two',
    isAlive: () => Promise.resolve(true),
  });
}

async function endsOf(rig: Rig): Promise<unknown[]> {
  const ends = (await rig.records()).filter((one) => one.header.type === 'call_finished');
  return ends.map(({ evidence }) => (evidence.state === 'present' ? evidence.value : undefined));
}

describe('an outcome that cannot be recorded', () => {
  test('of a write is told as unknown, never as something to repeat', async () => {
    const { wrap } = brokenStore();
    const rig = createRig({ wrapStore: wrap });
    expect(await rig.call('note', {})).toMatchObject({
      status: 'unknown',
      sideEffect: 'side_effect_unknown',
      error: { code: 'SIDE_EFFECT_UNKNOWN' },
    });
    // Of what had no effect nothing is unsure: the store's own error is told.
    await expect(rig.call('look', {})).rejects.toThrow('disk full');
    answers(rig, AWAY);
    await expect(rig.call('note', { n: 2 })).rejects.toThrow('disk full');
  });

  test('leaves a key that says so at once in its own process, and a read that is answered', async () => {
    const { wrap, repair } = brokenStore();
    const rig = createRig({ wrapStore: wrap, isAlive: () => Promise.resolve(true) });
    await rig.call('ticket', ARGS);
    await rig.call('look', {}, { idempotencyKey: 'r' }).catch(() => undefined);
    repair();
    expect(await rig.call('ticket', ARGS)).toMatchObject({
      status: 'unknown',
      error: { code: 'SIDE_EFFECT_UNKNOWN' },
    });
    const look = await rig.call('look', {}, { idempotencyKey: 'r' });
    expect(look).toMatchObject({ status: 'done', outcome: { replayed: true } });
    expect(rig.effects.map((one) => one.capability.id)).toEqual(['ticket', 'look']);
  });

  test('of what did nothing is recorded when it can be, and frees its key for every process', async () => {
    const { wrap, repair } = brokenStore();
    const rig = createRig({ wrapStore: wrap });
    const other = besides(rig);
    answers(rig, AWAY);
    await expect(rig.call('ticket', ARGS, { toolCallId: 'call_away' })).rejects.toThrow('disk full');
    await rig.kernel.settleLeft();
    repair();
    for (let n = 0; n < 2; n++) await rig.kernel.settleLeft();
    const itself = { status: 'tool_error', side_effect_status: 'not_executed' };
    expect(await endsOf(rig)).toMatchObject([{ ...itself, error: { code: 'DOWNSTREAM_UNAVAILABLE' } }]);
    const tried = rig.effects.length;
    for (const one of [other, rig]) {
      const told = await one.call('ticket', ARGS, { toolCallId: 'call_away' });
      expect(told).toMatchObject({ status: 'tool_error', sideEffect: 'not_executed' });
    }
    expect([rig.effects.length, other.effects.length]).toEqual([tried, 0]);
    expect((await other.call('ticket', ARGS)).status).toBe('done');
  });

  test('is tried again as it was first written, with the same large result', async () => {
    const { wrap, repair } = brokenStore();
    const tried: string[] = [];
    const rig = createRig({
      wrapStore: (store) => {
        const broken = wrap(store);
        return {
          ...broken,
          commit: (commit) => {
            tried.push(...(commit.blobs ?? []).map(({ key }) => key));
            return broken.commit(commit);
          },
        };
      },
    });
    const content = [{ type: 'text', text: 'x'.repeat(100_000) }];
    answers(rig, { kind: 'result', content, isError: false, notes: [] });
    await expect(rig.call('look', {})).rejects.toThrow('disk full');
    await rig.kernel.settleLeft();
    repair();
    await rig.kernel.settleLeft();
    expect([tried.length, new Set(tried).size]).toEqual([3, 1]);
    expect(await endsOf(rig)).toMatchObject([{ status: 'done' }]);
  });

  test('of what did nothing is the answer of a repeat, and what comes with its key runs', async () => {
    const { wrap, repair } = brokenStore();
    const rig = createRig({ wrapStore: wrap });
    answers(rig, AWAY);
    const same = (): Promise<unknown> => rig.call('ticket', ARGS, { toolCallId: 'call_away' });
    await expect(same()).rejects.toThrow('disk full');
    const tried = rig.effects.length;
    await expect(same()).rejects.toThrow('disk full');
    await expect(rig.call('ticket', ARGS)).rejects.toThrow('disk full');
    repair();
    expect(await same()).toMatchObject({ status: 'tool_error', sideEffect: 'not_executed' });
    expect(rig.effects).toHaveLength(tried);
    answers(rig, OK);
    expect((await rig.call('ticket', ARGS)).status).toBe('done');
    await rig.kernel.settleLeft();
    expect(await endsOf(rig)).toMatchObject([{ status: 'tool_error' }, { status: 'done' }]);
  });

  test('of what did nothing leaves its key free for whatever comes next', async () => {
    const { wrap, repair } = brokenStore();
    const rig = createRig({ wrapStore: wrap });
    answers(rig, AWAY);
    await expect(rig.call('ticket', ARGS)).rejects.toThrow('disk full');
    repair();
    answers(rig, OK);
    expect((await rig.call('ticket', ARGS)).status).toBe('done');
  });

  test('is settled as unknown while its process lives, for every process and once', async () => {
    const { wrap, repair } = brokenStore();
    const rig = createRig({ wrapStore: wrap });
    const other = besides(rig);
    await rig.call('ticket', ARGS, { toolCallId: 'call_left' });
    const answer = async (): Promise<unknown> => {
      const told = await other.call('ticket', ARGS);
      return 'error' in told ? told.error.code : told.status;
    };
    expect(await rig.kernel.settleLeft()).toMatchObject([
      { callId: 'call_left', error: { message: 'disk full' } },
    ]);
    expect(await answer()).toBe('CONFLICT'); // nobody has said anything yet, and its process lives
    repair();
    for (let n = 0; n < 2; n++) expect(await rig.kernel.settleLeft()).toEqual([]);
    expect(await rig.store.row('request', 'local', 'call_left')).toMatchObject({
      status: 'unknown',
      body: { side_effect_status: 'side_effect_unknown' },
    });
    expect(await endsOf(rig)).toMatchObject([
      { error: { code: 'CONFLICT' } },
      { call_id: 'call_left', status: 'unknown', notes: [expect.stringContaining('could not be recorded')] },
    ]);
    expect(await answer()).toBe('SIDE_EFFECT_UNKNOWN');
    expect((await other.call('ticket', ARGS, { toolCallId: 'call_left' })).status).toBe('unknown');
    expect(rig.effects.length + other.effects.length).toBe(1);
  });

  test('is not settled while the same call runs', async () => {
    const rig = createRig();
    let during: unknown;
    rig.tool.run = async () => {
      await rig.kernel.settleLeft();
      during = (await rig.store.row('request', 'local', 'call_runs'))?.status;
      return OK;
    };
    expect((await rig.call('ticket', ARGS, { toolCallId: 'call_runs' })).status).toBe('done');
    expect(during).toBe('in_progress');
  });

  test('of another process that ends between two looks at its key is the answer', async () => {
    const rig = createRig({ instance: 'inst_one' });
    let finish = (): void => undefined;
    rig.tool.run = () =>
      new Promise((resolve) => {
        finish = () => resolve(OK);
      });
    const running = rig.call('ticket', ARGS);
    await expect.poll(() => rig.effects.length).toBe(1);
    const other = createRig({
      ...{ store: rig.store, clock: rig.clock, instance: 'inst_two', idSeed: 'two' },
      // It ends, and its process with it, after the key was read and before it is asked for.
      isAlive: async () => {
        finish();
        await running;
        return false;
      },
    });
    expect(await other.call('ticket', ARGS)).toMatchObject({ status: 'done', outcome: { replayed: true } });
    expect(other.effects).toHaveLength(0);
  });
});
