// Resume tokens at the doors that take them: each counts once, for the call of the run and the principal it was given for,
// and every other is answered like one that never was.
import { expect, test } from 'vitest';
import { asRuntimeError } from '../../src/base/errors.ts';
import { systemClock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import { createLedger } from '../../src/capabilities/sessions/ledger.ts';
import type { Ledger } from '../../src/capabilities/sessions/ledger.ts';
import type { CallToolInput } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { relayRig, textOf } from './relay-rig.ts';
import type { RelayRig } from './relay-rig.ts';
import { APPROVE, CALLER, IO, OTHER, PERSON, says, ticket } from './rig.ts';

const NO_SUCH = { code: 'NOT_FOUND', message: 'There is nothing to resume under this token.' };

interface Lost {
  handle: { session_id: string; tool_call_id: string };
  token: string;
  /** Of the capability session that the token is of. */
  key: { tenant: string; id: string };
}

/** A call whose connection the server had forgotten; it did not run. */
async function lost(rig: RelayRig, text = 'again'): Promise<Lost> {
  await rig.run(await rig.ask('relay:echo', { text: 'first' }));
  await rig.relay.forget();
  const { session_id, tool_call_id } = await rig.ask('relay:echo', { text });
  const handle = { session_id, tool_call_id };
  const answer = await rig.run(handle);
  expect(answer).toMatchObject({ status: 'expired', side_effect_status: 'not_executed' });
  const token = answer.resume_token ?? '';
  return {
    handle,
    token,
    key: { tenant: CALLER.tenant, id: token.slice(0, Math.max(0, token.indexOf('.'))) },
  };
}

function refusalOf(made: Promise<unknown>): Promise<unknown> {
  return made.then(
    () => 'taken',
    (thrown: unknown) => {
      const { code, message, retryable } = asRuntimeError(thrown).view();
      return { code, message, retryable };
    },
  );
}

const shown = (rig: RelayRig, input: CallToolInput, caller = CALLER): Promise<unknown> =>
  refusalOf(rig.runtime.callTool(caller, input, IO));

function ledgerOf(rig: RelayRig): Ledger {
  return createLedger({ store: rig.runtime.store, clock: systemClock, ids: randomIds });
}

verifies(
  ['CS-12'],
  'a token of another call, run, principal, or none, is answered alike and spends nothing',
  async () => {
    const rig = await relayRig();
    const { handle, token } = await lost(rig);
    expect(token).toMatch(/^cap_[0-9a-z]{26}\.[A-Za-z0-9_-]{43}$/);
    const other = await rig.ask('relay:echo', { text: 'other' });
    const theirs = await rig.ask('relay:echo', { text: 'theirs' }, {}, OTHER);
    const unknown = `cap_${'0'.repeat(26)}.${'A'.repeat(43)}`;
    const last = token.endsWith('A') ? 'B' : 'A';
    const of = ({ session_id, tool_call_id }: Lost['handle']): Lost['handle'] => ({
      session_id,
      tool_call_id,
    });
    const answers = [
      await shown(rig, { ...handle, resume_token: 'nonsense' }),
      await shown(rig, { ...handle, resume_token: 'x'.repeat(5000) }),
      await shown(rig, { ...handle, resume_token: unknown }),
      await shown(rig, { ...handle, resume_token: `${token.slice(0, -1)}${last}` }),
      await shown(rig, { ...of(other), resume_token: token }),
      await shown(rig, { ...of(theirs), resume_token: token }, OTHER),
    ];
    for (const answer of answers) expect(answer).toMatchObject(NO_SUCH);
    // Whose session it is not learns nothing of the token either.
    expect(await shown(rig, { ...handle, resume_token: token }, OTHER)).toEqual(
      await shown(rig, { ...handle, resume_token: unknown }, OTHER),
    );

    const taken = await rig.runtime.callTool(CALLER, { ...handle, resume_token: token }, IO);
    expect([taken.status, textOf(taken)]).toEqual(['done', 'again']);
    expect(await shown(rig, { ...handle, resume_token: token })).toMatchObject(NO_SUCH);
  },
);

verifies(
  ['CS-02'],
  'what is recorded of a capability session names its run, its end and its token, never the token itself',
  async () => {
    const rig = await relayRig();
    const { handle, token, key } = await lost(rig);
    const { id } = key;
    const { state } = await rig.runtime.inspect(CALLER, 'capability_session', id);
    const call = await rig.runtime.store.row('request', CALLER.tenant, handle.tool_call_id);
    const expiresAt = Date.parse(state.expires_at as string);
    expect(state).toMatchObject({
      capability_session_id: id,
      run_id: call?.body.run_id,
      trace_id: call?.body.trace_id,
      capability_session_status: 'resumable',
      approval_state: 'none',
    });
    expect(expiresAt).toBeGreaterThan(systemClock.now());
    expect(state.resume_token).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(JSON.stringify(state)).not.toContain(token.slice(id.length + 1));
  },
);

test('a token of the same call in another run does not count', async () => {
  const rig = await relayRig();
  const { handle, key } = await lost(rig);
  const ledger = ledgerOf(rig);
  const until = systemClock.now() + 60_000;
  const token = await ledger.offer(key, { runId: 'run_of_another', callId: handle.tool_call_id, until });
  expect(token).toBeDefined();
  expect(await shown(rig, { ...handle, resume_token: token ?? '' })).toMatchObject(NO_SUCH);
});

test('of two that show it at once, one is taken', async () => {
  const rig = await relayRig();
  const { handle, token } = await lost(rig);
  const both = await Promise.all([1, 2].map(() => shown(rig, { ...handle, resume_token: token })));
  expect(both.filter((one) => one === 'taken')).toHaveLength(1);
});

test('its time is over', async () => {
  const rig = await relayRig();
  const { handle, key } = await lost(rig);
  const call = (await rig.runtime.store.row('request', CALLER.tenant, handle.tool_call_id))!;
  const mark = { runId: call.body.run_id as string, callId: handle.tool_call_id };
  const late = await ledgerOf(rig).offer(key, { ...mark, until: systemClock.now() });
  expect(late).toBeDefined();
  expect(await shown(rig, { ...handle, resume_token: late ?? '' })).toMatchObject(NO_SUCH);
  const timely = await ledgerOf(rig).offer(key, { ...mark, until: systemClock.now() + 60_000 });
  expect(await shown(rig, { ...handle, resume_token: timely ?? '' })).toBe('taken');
});

verifies(
  { partial: ['CS-08', 'CS-12'] },
  'where tokens are switched off none is offered, and none is taken',
  async () => {
    const rig = await relayRig();
    const { handle, token } = await lost(rig);
    const without = await rig.another({ resumeAllowed: false });
    const input = { ...handle, resume_token: token };
    expect(await refusalOf(without.runtime.callTool(CALLER, input, IO))).toMatchObject(NO_SUCH);

    const off = await relayRig({ resumeAllowed: false });
    const answer = await lost(off);
    expect(answer.token).toBe('');
  },
);

verifies(
  { partial: ['CS-10', 'CS-12'] },
  'a managed session takes the token of its own call, once, and decides anew',
  async () => {
    const rig = await relayRig();
    const asking = { id: 'native', name: 'relay:progress', rawInput: JSON.stringify({ steps: 1 }) };
    rig.model.next({ text: '', toolCalls: [asking], finishReason: 'tool_calls' });
    const messages = [{ role: 'user' as const, content: 'go' }];
    const started = await rig.runtime.startSession(CALLER, { execute_turn_input: { messages } }, IO);
    expect(started.kind).toBe('approval_required');
    const { session_id } = started;
    const tool_call_id = started.requested_tool?.tool_call_id ?? '';
    await rig.run(await rig.ask('relay:echo', { text: 'first' }));
    await rig.relay.forget();
    await rig.runtime.deliverApproval(PERSON, started.pending_request_id ?? '', APPROVE);
    const expired = await rig.run({ session_id, tool_call_id });
    expect(expired.status).toBe('expired');
    const resume_token = expired.resume_token ?? '';

    rig.model.next(says('hello'));
    const elsewhere = await rig.runtime.startSession(CALLER, { execute_turn_input: { messages } }, IO);
    const resume = (id: string, token: string, caller = CALLER): Promise<unknown> =>
      refusalOf(rig.runtime.resumeSession(caller, { session_id: id, resume_token: token }, IO));
    const unknown = `cap_${'0'.repeat(26)}.${'A'.repeat(43)}`;
    expect(await resume(session_id, 'nonsense')).toMatchObject(NO_SUCH);
    expect(await resume(session_id, unknown)).toMatchObject(NO_SUCH);
    expect(await resume(elsewhere.session_id, resume_token)).toEqual(
      await resume(elsewhere.session_id, unknown),
    );
    expect(await resume(session_id, resume_token, OTHER)).toEqual(await resume(session_id, unknown, OTHER));
    const inBackground = { session_id, resume_token, background: true };
    expect(await refusalOf(rig.runtime.resumeSession(CALLER, inBackground, IO))).toMatchObject({
      code: 'INVALID_INPUT',
    });

    // What was approved was spent by the first attempt, so a person is asked again.
    const asked = await rig.runtime.resumeSession(CALLER, { session_id, resume_token }, IO);
    expect(asked).toMatchObject({ kind: 'approval_required' });
    expect(await resume(session_id, resume_token)).toMatchObject(NO_SUCH);
    await rig.runtime.deliverApproval(PERSON, asked.pending_request_id ?? '', APPROVE);
    rig.model.next(says('done'));
    await rig.runtime.resumeSession(CALLER, { session_id }, IO);
    const call = await rig.run({ session_id, tool_call_id });
    expect([call.status, textOf(call)]).toEqual(['done', '1 steps']);
  },
);

verifies(
  { partial: ['CS-01', 'CS-09'] },
  'an answer that waits for a person names the session that waits with it',
  async () => {
    const rig = await relayRig();
    const asked = await rig.ask('relay:progress', { steps: 2 });
    const waiting = await rig.run(asked);
    const id = waiting.capability_session_id ?? '';
    const seen = async (): Promise<unknown> => {
      const { state } = await rig.runtime.inspect(CALLER, 'capability_session', id);
      return [state.capability_session_status, state.approval_state, state.run_id];
    };
    expect(await seen()).toEqual(['waiting_for_approval', 'pending', waiting.run_id]);
    await rig.runtime.deliverApproval(PERSON, ticket(waiting), APPROVE);
    expect(await seen()).toEqual(['in_progress', 'approved', waiting.run_id]);
    const done = await rig.run(asked);
    expect(done).toMatchObject({ status: 'done', capability_session_id: id });
  },
);
