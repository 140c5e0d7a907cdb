// Shows that a resume with a token is judged before its call runs, and that what fails afterwards says that it ran.
import { expect, test } from 'vitest';
import { RuntimeError, asRuntimeError } from '../../src/base/errors.ts';
import type { ResumeSessionInput } from '../../src/pack/managed/surface.ts';
import { sessionChainOf } from '../../src/pack/sessions/sessions.ts';
import { chainLeaseKey } from '../../src/store/contract.ts';
import { relayRig } from './relay-rig.ts';
import type { RelayRig } from './relay-rig.ts';
import { APPROVE, CALLER, IO, PERSON } from './rig.ts';
import type { Bench } from './rig.ts';

interface Lost {
  rig: RelayRig;
  session_id: string;
  tool_call_id: string;
  resume_token: string;
}

/** A managed session whose call has lost its connection before it ran; with its token a person is asked anew. */
async function lost(): Promise<Lost> {
  const rig = await relayRig();
  const asking = { id: 'native', name: 'relay:progress', rawInput: JSON.stringify({ steps: 1 }) };
  rig.model.next({ text: '', toolCalls: [asking], finishReason: 'tool_calls' });
  const messages = [{ role: 'user' as const, content: 'go' }];
  const started = await rig.runtime.startSession(CALLER, { execute_turn_input: { messages } }, IO);
  const { session_id } = started;
  const tool_call_id = started.requested_tool?.tool_call_id ?? '';
  await rig.run(await rig.ask('relay:echo', { text: 'first' }));
  await rig.relay.forget();
  await rig.runtime.deliverApproval(PERSON, started.pending_request_id ?? '', APPROVE);
  const { resume_token = '' } = await rig.run({ session_id, tool_call_id });
  return { rig, session_id, tool_call_id, resume_token };
}

const resumed = ({ runtime }: Bench, input: ResumeSessionInput): Promise<unknown> =>
  runtime.resumeSession(CALLER, input, IO).catch((thrown: unknown) => asRuntimeError(thrown).view());

const WRONG: Record<string, Partial<ResumeSessionInput>> = {
  'a call of no unknown effect': { accept_unknown: ['call_x'] },
  'a message of another role': { continuation_messages: [{ role: 'system', content: 'no' }] },
  'no turns': { max_turns_per_invocation: 0 },
};

test.each(Object.keys(WRONG))(
  'a resume that brings %s is refused before its token is spent',
  async (wrong) => {
    const { rig, session_id, resume_token } = await lost();
    const asked = { session_id, resume_token };
    expect(await resumed(rig, { ...asked, ...WRONG[wrong] })).toMatchObject({ code: 'INVALID_INPUT' });
    expect(await resumed(rig, asked)).toMatchObject({ kind: 'approval_required' });
  },
);

test('a resume that the configuration does not allow, or that another run is ahead of, spends no token', async () => {
  const { rig, session_id, resume_token } = await lost();
  const asked = { session_id, resume_token };
  const { config } = rig;
  const closed = { ...config, controls: { ...config.controls, resumeAllowed: false } };
  const elsewhere = await rig.another({}, { config: closed });
  expect(await resumed(elsewhere, asked)).toMatchObject({ code: 'POLICY_DENIED' });
  const { store } = rig.runtime;
  const key = chainLeaseKey(sessionChainOf(CALLER.tenant, session_id));
  await store.claim('instance/other', 'other', Date.now(), 30_000);
  const taken = await store.claim(key, 'other/run', Date.now(), 30_000);
  expect(await resumed(rig, asked)).toMatchObject({ code: 'CONFLICT', details: { reason: 'run_held' } });
  if (taken.ok) await store.release(taken.lease);
  expect(await resumed(rig, asked)).toMatchObject({ kind: 'approval_required' });
});

test('what fails once the call of the token was asked for says how that stands', async () => {
  const { rig, session_id, tool_call_id, resume_token } = await lost();
  const { store } = rig.runtime;
  const { commit } = store;
  store.commit = (one) => {
    const isStart = one.appends?.some(({ type }) => type === 'invocation_started') === true;
    return isStart ? Promise.reject(new RuntimeError('STORE_UNAVAILABLE')) : commit.call(store, one);
  };
  expect(await resumed(rig, { session_id, resume_token })).toMatchObject({
    code: 'STORE_UNAVAILABLE',
    details: {
      resumed_call: { tool_call_id, status: 'approval_required', side_effect_status: 'not_executed' },
    },
  });
});
