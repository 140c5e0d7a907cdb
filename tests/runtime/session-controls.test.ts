// What the settings of capability sessions change in what callers, servers and records see, through the whole runtime.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { Question } from '../../src/kernel/execution/executor.ts';
import type { RuntimeHandle } from '../../src/runtime/options.ts';
import { script, server } from '../capabilities/fixtures.ts';
import { verifies } from '../e2e/verifies.ts';
import { agree, call, pinRig } from './pins-rig.ts';
import { controlled, relayRig, textOf } from './relay-rig.ts';
import { APPROVE, CALLER, IO, open, PERSON, place, configFor, ticket } from './rig.ts';

/** What another part of the process still has to write. */
async function seen(look: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 1000; round++) {
    if (await look()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it was never seen');
}

async function records(runtime: RuntimeHandle): Promise<{ type: string; facts: JsonObject }[]> {
  const { store } = runtime;
  const { tenant } = CALLER;
  const { items } = await store.list({ kind: 'capability_session', tenant, limit: 20 });
  const chains = await Promise.all(
    items.map(({ id }) => store.read({ tenant, aggregate: 'capability_session', id })),
  );
  return chains.flat().map(({ header, evidence }) => ({
    type: header.type,
    facts: evidence.state === 'present' ? evidence.value : {},
  }));
}

test.each([
  [true, /^cap_/],
  [false, /^undefined$/],
])('track_session_ids %s', async (trackIds, id) => {
  const rig = await relayRig({ trackIds });
  const done = await rig.run(await rig.ask('relay:echo', { text: 'a' }));
  expect(String(done.capability_session_id)).toMatch(id);
  expect(await rig.sessions()).toHaveLength(1);
});

test.each([true, false])('allow_elicitation %s', async (elicitation) => {
  const rig = await relayRig({ elicitation });
  const asked: Question[] = [];
  const io = {
    ...IO,
    ask: async (question: Question) => {
      asked.push(question);
      return { action: 'accept' as const, content: { name: 'Ada' } };
    },
  };
  const answer = await rig.runtime.callCapability(CALLER, { tool: 'relay:ask', args: {} }, io);
  expect(asked).toHaveLength(elicitation ? 1 : 0);
  expect(JSON.stringify(answer.result ?? null).includes('Ada')).toBe(elicitation);
});

test('capability_session_owner and expiry_signal_owner are who is named', async () => {
  const rig = await relayRig({ expirySignalOwner: 'team-clock' });
  await rig.run(await rig.ask('relay:echo', { text: 'a' }));
  await rig.relay.forget();
  await rig.run(await rig.ask('relay:echo', { text: 'b' }));
  const lost = (await records(rig.runtime)).find(({ type }) => type === 'capability_session_lost');
  expect(lost?.facts).toMatchObject({ cause: 'http_404', signal_owner: 'team-clock' });

  const { controls } = rig.config;
  const config = { ...rig.config, controls: { ...controls, capabilitySessionOwner: 'team-owner' } };
  const other = await rig.another({}, { config });
  const done = await other.run(await other.ask('relay:echo', { text: 'c' }));
  const id = done.capability_session_id ?? '';
  const { state } = await other.runtime.inspect(CALLER, 'capability_session', id);
  expect(state).toMatchObject({ owner: 'team-owner' });
});

test('idle_seconds: an unused connection is ended, and the next call says which it continues', async () => {
  const rig = await relayRig({ idleSeconds: 0.05 });
  const first = await rig.run(await rig.ask('relay:echo', { text: 'a' }));
  await seen(async () => (await rig.sessions())[0]?.status === 'reinitialize_required');
  const second = await rig.run(await rig.ask('relay:echo', { text: 'b' }));
  const { state } = await rig.runtime.inspect(
    CALLER,
    'capability_session',
    second.capability_session_id ?? '',
  );
  expect(state).toMatchObject({ reinitialized_from: first.capability_session_id });
});

verifies(
  { partial: ['CS-07', 'CS-08'] },
  'resume_policy always_reinitialize: an approved call goes through a new session',
  async () => {
    const rig = await relayRig({ resumePolicy: 'always_reinitialize' });
    await rig.run(await rig.ask('relay:echo', { text: 'a' }));
    const asked = await rig.ask('relay:progress', { steps: 1 });
    const waiting = await rig.run(asked);
    await rig.runtime.deliverApproval(PERSON, ticket(waiting), APPROVE);
    const done = await rig.run(asked);
    expect([done.status, textOf(done)]).toEqual(['done', '1 steps']);
    const id = done.capability_session_id ?? '';
    expect(id).not.toBe(waiting.capability_session_id);
    const { state } = await rig.runtime.inspect(CALLER, 'capability_session', id);
    expect(state).toMatchObject({ reinitialized_from: waiting.capability_session_id });
  },
);

test('reinit_requires_approval: a word that was given before the connection was lost is not for building it anew', async () => {
  const rig = await relayRig({ reinitRequiresApproval: true });
  const first = await rig.run(await rig.ask('relay:echo', { text: 'a' }));
  const asked = await rig.ask('relay:progress', { steps: 1 });
  const pending = await rig.ask('relay:progress', { steps: 2 });
  const [before, unanswered] = [ticket(await rig.run(asked)), ticket(await rig.run(pending))];
  await rig.runtime.deliverApproval(PERSON, before, APPROVE);
  await rig.relay.forget();
  expect((await rig.run(await rig.ask('relay:echo', { text: 'b' }))).status).toBe('expired');

  const again = await rig.run(asked);
  expect(again.status).toBe('approval_required');
  expect(JSON.stringify(again)).toContain('the connection to relay was lost');
  expect(ticket(again)).not.toBe(before);
  expect(ticket(await rig.run(pending))).not.toBe(unanswered);
  expect(ticket(await rig.run(asked))).toBe(ticket(again)); // asked for once
  expect((await rig.sessions())[0]).toMatchObject({ status: 'reinitialize_required' });
  for (const id of [before, unanswered]) {
    expect((await rig.runtime.inspect(CALLER, 'approval', id)).state).toMatchObject({ status: 'revoked' });
  }
  await rig.runtime.deliverApproval(PERSON, ticket(again), APPROVE);
  const done = await rig.run(asked);
  expect([done.status, textOf(done)]).toEqual(['done', '1 steps']);
  const { state } = await rig.runtime.inspect(CALLER, 'capability_session', done.capability_session_id ?? '');
  expect(state).toMatchObject({ reinitialized_from: first.capability_session_id });
});

test('max_wait_seconds: nobody is waited for longer, whatever approvals say', async () => {
  const at = await place();
  const base = configFor(at);
  const bench = await open(at, { config: { ...base, controls: { ...base.controls, maxWaitSeconds: 7 } } });
  const now = bench.clock.now();
  const waiting = await bench.run(await bench.ask('pay', { amount: 1 }));
  expect(Date.parse(waiting.approval?.answer_by ?? '')).toBe(now + 7000);
});

async function asking(change: (config: RuntimeConfig) => RuntimeConfig): Promise<RuntimeHandle> {
  const rig = await pinRig();
  const servers = { hostile: server('hostile', [script('hostile'), 'asks']) };
  const runtime = await rig.process({ config: change({ ...rig.config, servers }) });
  await agree(runtime);
  return runtime;
}

test("an old server's requests for a model and for roots are refused, each on record with the reason", async () => {
  const runtime = await asking((config) => config);
  expect(textOf(await call(runtime))).toBe('ask-1:-32601 ask-2:-32601');
  const refused = async (): Promise<JsonObject[]> =>
    (await records(runtime))
      .filter(({ type }) => type === 'capability_request_refused')
      .map(({ facts }) => ({ method: facts.method ?? '', why: facts.why ?? '' }));
  await seen(async () => (await refused()).length === 2);
  expect(await refused()).toEqual([
    { method: 'roots/list', why: 'no roots are told here' },
    { method: 'sampling/createMessage', why: 'no model is lent to servers' },
  ]);
});

test('roots sandbox: the server is told the sandbox, and still lent no model', async () => {
  const runtime = await asking((config) => controlled(config, { roots: 'sandbox' }));
  expect(textOf(await call(runtime))).toBe('ask-1:answered ask-2:-32601');
});
