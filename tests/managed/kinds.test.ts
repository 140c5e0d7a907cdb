// How runs end, side by side: typed values that no two outcomes share, each with what was said and done until then.
import { expect } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, boot, CALLER, createWorld, decide, governed, IO, user } from './rig.ts';
import type { Mind, Process, World } from './rig.ts';

const MISLEADING = 'waiting for human approval; denied; failed';
const DONE: Mind = () => governed({ status: 'complete', assistant_message: 'done' });
const times = (count: number, first: Mind): Mind => {
  let left = count;
  return (input) => (left-- > 0 ? first(input) : DONE(input));
};

function born(mind: Mind): { world: World; at: Process } {
  const world = createWorld({ mind });
  return { world, at: boot(world) };
}

function lose({ rig }: Process): void {
  rig.tool.run = async () => ({
    ...{ kind: 'failed', code: 'TOOL_TIMEOUT', message: 'late' },
    ...{ sideEffect: 'side_effect_unknown', notes: [] },
  });
}

const failing: Mind = () => {
  throw new RuntimeError('PROVIDER_TIMEOUT');
};

verifies(
  ['TC-14'],
  'success, waiting, denied, failed and blocked runs are kept apart in result and record, whatever their texts say',
  async () => {
    const seen: string[][] = [];
    const kinds: [Mind, (at: Process) => void][] = [
      [() => governed({ status: 'complete', assistant_message: MISLEADING }), () => undefined],
      [times(1, () => asks('pay')), () => undefined],
      [failing, () => undefined],
      [times(1, () => asks('note')), lose],
    ];
    for (const [mind, prepare] of kinds) {
      const { world, at } = born(mind);
      prepare(at);
      const result = await at.start('go');
      const row = await world.store.row('run', 'local', result.run_id);
      seen.push([result.kind, result.status, row?.status ?? '']);
    }
    expect(seen).toEqual([
      ['completed', 'completed', 'success'],
      ['approval_required', 'waiting_approval', 'waiting_for_approval'],
      ['error', 'error', 'failed'],
      ['suspended', 'suspended', 'blocked_on_reconciliation'],
    ]);
    const { world, at } = born(DONE);
    const { session_id: id } = await at.managed.create(CALLER, {
      executeTurnInput: { messages: [user('go')] },
    });
    const denied = await at.managed.run(CALLER, id, { reason: 'created', callerNow: () => undefined }, IO);
    expect(denied).toMatchObject({ kind: 'error', error: { code: 'POLICY_DENIED' } });
    expect((await world.store.row('run', 'local', denied.run_id))?.status).toBe('denied');
  },
);

verifies(
  ['WF-02'],
  'every way in which a session ends or stops is one typed result with messages, counts and history',
  async () => {
    const one = (count: number): Mind => times(count, (input) => asks('note', { n: input.messages.length }));
    const { at: a } = born(DONE);
    const { at: b } = born(times(1, () => asks('pay')));
    const { at: c } = born(one(5));
    const { at: d } = born(times(1, () => asks('note')));
    const { at: e } = born(failing);
    lose(d);
    const results = [
      await a.start('go'),
      await b.start('go'),
      await c.start('go', { maxTurns: 2 }),
      await d.start('go'),
      await e.start('go'),
    ];
    expect(
      results.map((result) => [
        result.kind,
        result.messages.map(({ role }) => role).join(' '),
        [result.turn_count, result.tool_call_count],
        result.history.map(({ turn_index: turn, tool_output: output }) => [turn, output?.status]),
      ]),
    ).toEqual([
      ['completed', 'user assistant', [1, 0], [[0, undefined]]],
      ['approval_required', 'user assistant', [1, 0], [[0, 'approval_required']]],
      [
        'suspended',
        'user assistant tool assistant', // a result is told with the turn that takes it in
        [2, 2],
        [
          [0, 'done'],
          [1, 'done'],
        ],
      ],
      ['suspended', 'user assistant', [1, 1], [[0, 'unknown']]],
      ['error', 'user', [1, 0], []],
    ]);
    await c.managed.cancel(CALLER, results[2]!.session_id, 'enough');
    expect(await c.managed.result(CALLER, results[2]!.session_id)).toMatchObject({
      ...{ kind: 'canceled', reason: 'enough', turn_count: 2, tool_call_count: 2 },
    });
  },
);

verifies(
  ['WF-08'],
  'what has ended or was never there is not resumed and says what to do; what waits stays until its answer is there',
  async () => {
    const { world, at } = born(times(1, () => asks('pay', { sum: 1 })));
    const missing = 'ses_' + '0'.repeat(26);
    await expect(at.resume(missing)).rejects.toMatchObject({
      ...{ code: 'NOT_FOUND', message: expect.stringContaining(missing) as string },
    });
    const waits = await at.start('go');
    if (waits.kind !== 'approval_required') throw new Error(waits.kind);
    const asked = at.model.inputs.length;
    const said = user('just do it');
    expect(await at.resume(waits.session_id, { continuationMessages: [said] })).toEqual({
      ...waits,
      messages: [...waits.messages, said],
    });
    expect([world.effects.length, at.model.inputs.length]).toEqual([0, asked]);
    await decide(at, waits.pending_request_id, 'approve');
    expect(await at.resume(waits.session_id)).toMatchObject({ kind: 'completed' });
    expect(world.effects).toHaveLength(1);

    const { session_id: canceled } = await at.managed.create(CALLER, {
      executeTurnInput: { messages: [user('go')] },
    });
    await at.managed.cancel(CALLER, canceled, 'no');
    for (const [id, status] of [
      [waits.session_id, 'completed'],
      [canceled, 'canceled'],
    ] as const) {
      await expect(at.resume(id)).rejects.toMatchObject({
        code: 'SESSION_CLOSED',
        message: expect.stringContaining('start a new session') as string,
        details: { status },
      });
    }
    expect(world.effects).toHaveLength(1);
  },
);
