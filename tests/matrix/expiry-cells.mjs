// Owns the cells of the expiry matrix: each way to lose a connection under each policy, as a client meets it and as the
// record tells it.
import assert from 'node:assert/strict';
import { callOf, eventually } from './session.mjs';

export const POLICIES = {
  reinitialize: {},
  approval: { reinit_requires_approval: true },
  cancel: { on_session_expiry: 'cancel' },
};

async function sessionsOf(session, server) {
  const looker = await session.bare();
  const { structuredContent } = await looker.call('agent:list-capability-sessions', { limit: 200 });
  return structuredContent.items.filter((one) => one.server === server);
}

async function recordOf(session, id) {
  const { state, timeline } = await session.inspect('capability_session', id);
  return { state, types: timeline.map(({ type }) => type) };
}

/** The server forgot the session: the call did not run, and the answer says what follows. */
function forgotten(policy, { server, cause, forget }) {
  return async (session) => {
    const client = await session.asked();
    const first = callOf(await client.call(`${server}:echo`, { text: `before ${policy}` }));
    const oldId = first.capability_session_id;
    await forget();
    const result = await client.call(`${server}:echo`, { text: `during ${policy}` });
    assert.equal(result.isError, true);
    const call = callOf(result);
    assert.equal(call.side_effect_status, 'not_executed');
    assert.equal(call.expiry.expired_capability_session_id, oldId);
    assert.equal(call.expiry.cause, cause);
    const { state, types } = await recordOf(session, oldId);
    assert.ok(types.includes('capability_session_lost'), types.join());
    assert.equal(state.cause, cause);
    if (policy === 'cancel') {
      assert.deepEqual(
        [call.status, call.resume_token, state.capability_session_status],
        ['canceled', undefined, 'canceled'],
      );
      assert.notEqual((await client.call(`${server}:echo`, { text: 'after cancel' })).isError, true);
      return 'over; the next call began anew';
    }
    assert.equal(call.status, 'expired');
    assert.match(call.resume_token, /^cap_/);
    assert.deepEqual(call.expiry.must_retry, [call.tool_call_id]);
    if (policy === 'approval') {
      assert.equal(state.capability_session_status, 'reinitialize_required');
      client.state.react = async () => ({ action: 'decline' });
      const asked = callOf(await client.call(`${server}:echo`, { text: 'asks' }));
      assert.equal(asked.status, 'approval_required', JSON.stringify(asked).slice(0, 300));
      client.state.react = async () => ({ action: 'accept', content: { decision: 'approve' } });
      const agreed = await client.call(`${server}:echo`, { text: 'agreed' });
      assert.notEqual(agreed.isError, true, JSON.stringify(agreed).slice(0, 300));
      assert.equal(
        (await recordOf(session, oldId)).state.reinitialized_as,
        callOf(agreed).capability_session_id,
      );
      return 'asked, agreed, continued by another';
    }
    assert.deepEqual(call.expiry.resumed, ['connection']);
    assert.equal(state.reinitialized_as, call.expiry.capability_session_id);
    const again = await client.call(`${server}:echo`, { text: `after ${policy}` });
    assert.equal(callOf(again).capability_session_id, call.expiry.capability_session_id);
    return 'continued by another';
  };
}

/** The child died in the call: nobody knows what it did, and nothing is repeated. */
function died(policy) {
  return async (session) => {
    const client = await session.asked();
    const call = callOf(await client.call('stdio-legacy:crash', {}));
    assert.equal(call.status, 'unknown', JSON.stringify(call).slice(0, 300));
    assert.equal(call.side_effect_status, 'side_effect_unknown');
    assert.equal(call.resume_token, undefined);
    const lost = await eventually('the end is on record', async () =>
      (await sessionsOf(session, 'stdio-legacy')).find((one) => one.cause === 'child_ended'),
    );
    if (policy === 'cancel') return assert.equal(lost.capability_session_status, 'canceled');
    return lost.capability_session_status;
  };
}

/**
 * Another process is killed while its call waits for a person: by then the question is on record. That it is said to be
 * lost, once the dead process's lease has ended, is tests/capabilities/expiry.test.ts.
 */
function hostKilled(policy) {
  return async (session) => {
    const victim = await session.own();
    let shown = false;
    victim.state.react = () => {
      shown = true;
      return new Promise(() => undefined);
    };
    victim.call('stdio-modern:ask', { note: `killed ${policy}` }).catch(() => undefined);
    await eventually('the question is shown', async () => shown);
    const waiting = (await sessionsOf(session, 'stdio-modern')).find(
      (one) => one.capability_session_status === 'waiting_for_input',
    );
    assert.ok(waiting, 'it waits on record');
    process.kill(victim.pid, 'SIGKILL');
    return `${waiting.waits_for.length} question open when it was killed`;
  };
}

export function expiryCells(policy, relays) {
  const ways = {
    404: { server: 'http-legacy', cause: 'http_404', forget: relays.gone.forget },
    400: { server: 'http-modern', cause: 'http_400_stale', forget: relays.stale.forget },
  };
  return {
    ...Object.fromEntries(
      Object.entries(ways).map(([name, way]) => [`http-${name}`, forgotten(policy, way)]),
    ),
    'child-killed': died(policy),
    'host-killed': hostKilled(policy),
  };
}
