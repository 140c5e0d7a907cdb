// Shows that a session that a host runs turn by turn can be ended by its owner, from any process, with all that waits in it.
import { expect, test } from 'vitest';
import type { TurnOutput } from '../../src/pack/turn/contract.ts';
import type { RuntimeOptions } from '../../src/runtime/options.ts';
import { createFakeModel } from '../pack/rig.ts';
import { APPROVE, CALLER, IO, open, OTHER, PERSON, place, says, ticket, types } from './rig.ts';
import type { Bench } from './rig.ts';

const statusOf = async ({ runtime }: Bench, id: string): Promise<unknown> =>
  (await runtime.inspect(CALLER, 'session', id)).state.status;

test('what waits in it is taken back, nothing of it runs, and no turn follows', async () => {
  const at = await place();
  const bench = await open(at);
  const asked = await bench.ask('pay', { amount: 1 });
  const approval = ticket(await bench.run(asked));
  const { session_id: id } = asked;
  const elsewhere = await open(at, { fakeClock: bench.clock });
  expect(await elsewhere.runtime.cancel(CALLER, { session_id: id, reason: 'no longer wanted' })).toEqual({
    session_id: id,
    status: 'canceled',
  });
  expect(await statusOf(bench, id)).toBe('canceled');
  const ended = await bench.runtime.inspect(CALLER, 'session', id);
  expect(types(ended).at(-1)).toBe('session_closed');
  expect(ended.timeline.at(-1)).toMatchObject({
    reason: 'no longer wanted',
    closed_calls: [asked.tool_call_id],
  });
  expect((await bench.runtime.inspect(CALLER, 'approval', approval)).state.status).toBe('revoked');
  expect(await bench.runtime.deliverApproval(PERSON, approval, APPROVE)).toMatchObject({ moved: false });
  expect((await bench.run(asked)).status).not.toBe('done');
  expect(bench.effects).toEqual([]);
  bench.model.next(says('hello'));
  const more = { session_id: id, messages: [{ role: 'user' as const, content: 'go on' }] };
  expect(await bench.runtime.executeTurn(CALLER, more, IO)).toMatchObject({
    error: { code: 'SESSION_CLOSED', details: { status: 'canceled' } },
  });
  expect(await bench.runtime.cancel(CALLER, { session_id: id })).toMatchObject({ status: 'canceled' });
});

test('an escalation is closed with it; one that its model completed stays completed', async () => {
  const bench = await open(await place());
  bench.model.next({ text: JSON.stringify({ status: 'escalate', assistant_message: 'help' }) });
  const { session_id: id } = await bench.turn();
  await bench.runtime.cancel(CALLER, { session_id: id });
  const { items } = await bench.runtime.store.list({
    kind: 'item',
    tenant: CALLER.tenant,
    ref: id,
    limit: 5,
  });
  expect(items).toMatchObject([{ status: 'closed' }]);
  bench.model.next({ text: JSON.stringify({ status: 'complete', assistant_message: 'done' }) });
  const done = await bench.turn();
  expect(await bench.runtime.cancel(CALLER, { session_id: done.session_id })).toMatchObject({
    status: 'completed',
  });
  expect(await statusOf(bench, done.session_id)).toBe('closed');
});

test('a turn that is under way adds nothing to it', async () => {
  const model = createFakeModel();
  let meanwhile: () => Promise<unknown> = async () => undefined;
  const createProvider: RuntimeOptions['createProvider'] = () => ({
    ...model,
    async generate(...given) {
      await meanwhile();
      return model.generate(...given);
    },
  });
  const { runtime } = await open(await place(), { createProvider });
  const messages = [{ role: 'user' as const, content: 'go on' }];
  const { session_id: id } = (await runtime.executeTurn(CALLER, { messages }, IO)) as TurnOutput;
  meanwhile = () => runtime.cancel(CALLER, { session_id: id });
  const late = await runtime.executeTurn(CALLER, { session_id: id, messages }, IO);
  expect(late).toMatchObject({ error: { code: 'CONFLICT' } });
  expect(types(await runtime.inspect(CALLER, 'session', id)).at(-1)).toBe('session_closed');
});

test("nobody ends another's", async () => {
  const bench = await open(await place());
  bench.model.next(says('hello'));
  const { session_id: id } = await bench.turn();
  await expect(bench.runtime.cancel(OTHER, { session_id: id })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await statusOf(bench, id)).toBe('open');
});
