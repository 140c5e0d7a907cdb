// Shows that a call that names no session runs once on a person's word, also when the session that it was asked in has given way.
import { expect, test } from 'vitest';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import { eraseWork, removeWork } from '../../src/runtime/retention.ts';
import { APPROVE, CALLER, configFor, IO, open, PERSON, place, REJECT, ticket } from './rig.ts';
import type { Bench, OpenOptions, Place } from './rig.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Direct extends Bench {
  at: Place;
  pay(callId?: string, actor?: string): Promise<CallAnswer>;
}

async function direct(over: OpenOptions = {}): Promise<Direct> {
  const at = await place();
  const base = configFor(at);
  const approvals = { ...base.approvals, answerWithinSeconds: 48 * 3600, useWithinSeconds: 3600 };
  const controls = { ...base.controls, maxWaitSeconds: 48 * 3600 };
  const bench = await open(at, { config: { ...base, approvals, controls }, ...over });
  const pay: Direct['pay'] = (callId, actor = CALLER.actor) =>
    bench.runtime.callCapability(
      { ...CALLER, actor },
      { tool: 'pay', args: { amount: 12 }, ...(callId === undefined ? {} : { callId }) },
      IO,
    );
  return { ...bench, at, pay };
}

const approved = ({ runtime }: Direct, id: string): Promise<unknown> =>
  runtime.deliverApproval(PERSON, id, APPROVE);

test('an approval that is given while the session is idle runs the call that is repeated later', async () => {
  const bench = await direct();
  const asked = await bench.pay();
  bench.clock.advance(29 * MINUTE);
  await approved(bench, ticket(asked));
  bench.clock.advance(2 * MINUTE);
  const done = await bench.pay();
  expect(done).toMatchObject({ status: 'done', side_effect_status: 'applied' });
  expect(done.session_id).not.toBe(asked.session_id);
  expect(bench.effects).toHaveLength(1);
  const { state } = await bench.runtime.inspect(CALLER, 'approval', ticket(asked));
  expect(state.status).toBe('consumed');
  // Once: the next one is asked about anew.
  expect((await bench.pay()).status).toBe('approval_required');
});

test.each([
  ['a day old', 25 * HOUR],
  ['idle', 31 * MINUTE],
])(
  'a call that comes back with its id from a session that is %s by then runs in the next one',
  async (_how, ms) => {
    const bench = await direct();
    const asked = await bench.pay();
    bench.clock.advance(ms);
    await approved(bench, ticket(asked));
    const done = await bench.pay(asked.tool_call_id);
    expect(done).toMatchObject({ status: 'done', side_effect_status: 'applied' });
    expect(done.session_id).not.toBe(asked.session_id);
    // What has run is answered from its record, in whichever session that lies.
    bench.clock.advance(ms);
    const again = await bench.pay(done.tool_call_id);
    expect(again).toMatchObject({ status: 'done', result: { replayed: true }, session_id: done.session_id });
    expect(bench.effects).toHaveLength(1);
  },
);

test('a line of sessions is of one connection: what another one was allowed counts for nobody else', async () => {
  const bench = await direct();
  const asked = await bench.pay();
  await approved(bench, ticket(asked));
  bench.clock.advance(31 * MINUTE);
  expect((await bench.pay(undefined, 'stdio:other')).status).toBe('approval_required');
  await expect(bench.pay(asked.tool_call_id, 'stdio:other')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const other = await open(bench.at, { config: bench.runtime.config, fakeClock: bench.clock });
  const elsewhere = await other.runtime.callCapability(CALLER, { tool: 'pay', args: { amount: 12 } }, IO);
  expect(elsewhere.status).toBe('approval_required');
});

test('a question that is open, and a no, stand in the next session too', async () => {
  const bench = await direct();
  const asked = await bench.pay();
  bench.clock.advance(31 * MINUTE);
  expect(ticket(await bench.pay())).toBe(ticket(asked));
  await bench.runtime.deliverApproval(PERSON, ticket(asked), REJECT);
  bench.clock.advance(31 * MINUTE);
  expect((await bench.pay()).status).toBe('denied');
});

test('budgets begin anew with the next session, however many approvals are open', async () => {
  const base = configFor(await place());
  const loopBudget = { ...base.policy.loopBudget, maxCalls: 1 };
  const bench = await direct();
  const at = await open(bench.at, {
    config: { ...bench.runtime.config, policy: { ...bench.runtime.config.policy, loopBudget } },
    fakeClock: bench.clock,
  });
  const look = (): Promise<CallAnswer> => at.runtime.callCapability(CALLER, { tool: 'look', args: {} }, IO);
  await at.runtime.callCapability(CALLER, { tool: 'pay', args: {} }, IO);
  expect((await look()).status).toBe('done');
  expect((await look()).status).toBe('denied');
  bench.clock.advance(31 * MINUTE);
  expect((await look()).status).toBe('done');
});

test('what a later session may still use is not taken out with the one that it was asked in', async () => {
  const bench = await direct();
  const { store } = bench.runtime;
  const asked = await bench.pay();
  bench.clock.advance(48 * HOUR - 1);
  await approved(bench, ticket(asked));
  bench.clock.advance(1); // from here on it could be removed
  const row = (await store.row('session', CALLER.tenant, asked.session_id))!;
  const parts = { store, clock: bench.clock, copies: { remove: async () => undefined } };
  const refused = { code: 'CONFLICT', details: { approval_id: ticket(asked) } };
  const by = { signer: { publicKey: '', sign: () => '' }, reason: 'old' };
  await expect(removeWork(parts, row, by)).rejects.toMatchObject(refused);
  await expect(eraseWork(parts, row, 'asked for')).rejects.toMatchObject(refused);
  expect((await bench.pay()).status).toBe('done');
});

test('a session of such calls that is erased while it is in use gives way', async () => {
  const bench = await direct();
  const { runtime, clock } = bench;
  const { store } = runtime;
  const look = (): Promise<CallAnswer> => runtime.callCapability(CALLER, { tool: 'look', args: {} }, IO);
  const { session_id: id } = await look();
  const row = await store.row('session', CALLER.tenant, id);
  await eraseWork({ store, clock, copies: { remove: async () => undefined } }, row!, 'asked for');
  clock.advance(5_000);
  const next = await look();
  expect(next.session_id).not.toBe(id);
  clock.advance(5_000);
  expect((await look()).session_id).toBe(next.session_id);
});
