// Owns the cells of the expiry matrix: each way to lose a connection under each policy, as a client meets it and as the
// record tells it: what expired and why, what was resumed, what must be asked for again, and that nothing was repeated.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './clients.mjs';
import { killHttpServer } from './http.mjs';
import { callOf, eventually, never } from './session.mjs';

export const POLICIES = {
  reinitialize: {},
  approval: { reinit_requires_approval: true },
  cancel: { on_session_expiry: 'cancel' },
};

/** A server for each cause, so that one cell's loss is no other cell's. The limits of `brief` are short. */
const STDIO = [
  'child-idle',
  'child-call',
  'child-ask',
  'host-call',
  'host-ask',
  'http-host-call',
  'http-host-ask',
];
export const HTTP = ['gone', 'stale', 'down', 'server-call', 'server-ask'];
const BRIEF = ['idle', 'wait'];
// An end in the middle of a read leaves no doubt to record; so what asks here counts as a write.
const way = (transport) => (name) => ({ name, transport, era: 'legacy', asksIn: 'write' });
export const LASTING_WAYS = [...STDIO.map(way('stdio')), ...HTTP.map(way('http'))];
export const BRIEF_WAYS = BRIEF.map(way('stdio'));
export const BRIEF_LIMITS = { max_wait_seconds: 2 };
export const BRIEF_CONTROLS = { expiry_policy: { idle_seconds: 1 } };

/** As long as a process that gives no sign of life counts as alive, and some. */
const LEASE_MS = 31_000;

const textOf = (result) => result.content[0]?.text;
const accepts = async () => ({ action: 'accept', content: { decision: 'approve' } });

async function sessionsOf(session, server) {
  const looker = await session.bare();
  const { structuredContent } = await looker.call('agent:list-capability-sessions', { limit: 200 });
  return structuredContent.items.filter((one) => one.server === server);
}

async function recordOf(session, id) {
  const { state, timeline } = await session.inspect('capability_session', id);
  return { state, timeline, types: timeline.map(({ type }) => type) };
}

/** The loss as it stands in the journal, with who signals it. */
async function lossOf(session, id, cause) {
  const { timeline } = await eventually('the loss is on record', async () => {
    const record = await recordOf(session, id);
    return record.types.includes('capability_session_lost') && record;
  });
  const losses = timeline.filter(({ type }) => type === 'capability_session_lost');
  assert.equal(losses.length, 1);
  assert.equal(losses[0].cause, cause);
  return losses[0];
}

/** What the policy makes of the next call after the loss of a session, and what the journal says of both. */
async function goesOn(policy, { session, client, server, lostId }) {
  const { state } = await recordOf(session, lostId);
  if (policy === 'cancel') {
    assert.equal(state.capability_session_status, 'canceled');
    const anew = callOf(await client.call(`${server}:echo`, { text: 'anew' }));
    assert.equal(anew.status, 'done', JSON.stringify(anew).slice(0, 300));
    assert.notEqual(anew.capability_session_id, lostId);
    assert.equal((await recordOf(session, anew.capability_session_id)).state.reinitialized_from, undefined);
    return 'expired: canceled; resumed: nothing; the next call began anew';
  }
  if (policy === 'approval') {
    assert.equal(state.capability_session_status, 'reinitialize_required');
    client.state.react = async () => ({ action: 'decline' });
    const asked = callOf(await client.call(`${server}:echo`, { text: 'agreed' }));
    assert.equal(asked.status, 'approval_required', JSON.stringify(asked).slice(0, 300));
    client.state.react = accepts;
  }
  const text = policy === 'approval' ? 'after a person' : 'after';
  const next = callOf(await client.call(`${server}:echo`, { text }));
  assert.equal(next.status, 'done', JSON.stringify(next).slice(0, 300));
  await assertLinked(session, lostId, next.capability_session_id);
  return policy === 'approval' ? 'a person agreed; continued by another' : 'continued by another';
}

async function assertLinked(session, oldId, newId) {
  const [old, fresh] = [await recordOf(session, oldId), await recordOf(session, newId)];
  assert.equal(old.state.capability_session_status, 'expired');
  assert.equal(old.state.reinitialized_as, newId);
  assert.equal(fresh.state.reinitialized_from, oldId);
  assert.equal(old.types.at(-1), 'capability_session_reinitialized');
}

/** The server forgot the session: the call did not run, and the answer says what follows. */
function forgotten(policy, server, cause, forget) {
  return async (session) => {
    const client = await session.asked();
    const first = callOf(await client.call(`${server}:echo`, { text: 'before' }));
    const lostId = first.capability_session_id;
    await forget();
    const call = callOf(await client.call(`${server}:echo`, { text: 'during' }));
    assert.equal(call.side_effect_status, 'not_executed');
    assert.equal(call.expiry.expired_capability_session_id, lostId);
    assert.equal(call.expiry.cause, cause);
    await lossOf(session, lostId, cause);
    if (policy === 'cancel') {
      assert.deepEqual([call.status, call.resume_token, call.expiry.must_retry], ['canceled', undefined, []]);
      return goesOn(policy, { session, client, server, lostId });
    }
    assert.equal(call.status, 'expired');
    assert.match(call.resume_token, /^cap_/);
    assert.deepEqual(call.expiry.must_retry, [call.tool_call_id]);
    if (policy === 'approval') {
      assert.deepEqual(call.expiry.resumed, []);
      return `must retry: 1; ${await goesOn(policy, { session, client, server, lostId })}`;
    }
    assert.deepEqual(call.expiry.resumed, ['connection']);
    await assertLinked(session, lostId, call.expiry.capability_session_id);
    const again = callOf(await client.call(`${server}:echo`, { text: 'after' }));
    assert.equal(again.capability_session_id, call.expiry.capability_session_id);
    return 'resumed: connection; must retry: 1; continued by another';
  };
}

/** Nobody used it when it went: nothing was in doubt, and nothing must be retried. */
function lostAtRest(policy, server, cause, lose) {
  return async (session) => {
    const client = await session.asked();
    const first = await client.call(`${server}:pid`, {});
    const lostId = callOf(first).capability_session_id;
    await lose(first, client);
    await lossOf(session, lostId, cause);
    return goesOn(policy, { session, client, server, lostId });
  };
}

/** Over HTTP nobody hears that a server has gone until the next call, and that one was never sent. */
function unreachable(policy, server, http) {
  return async (session) => {
    const client = await session.asked();
    const lostId = callOf(await client.call(`${server}:echo`, { text: 'before' })).capability_session_id;
    await http.kill();
    const call = callOf(await client.call(`${server}:echo`, { text: 'during' }));
    assert.equal(call.side_effect_status, 'not_executed', JSON.stringify(call).slice(0, 300));
    await lossOf(session, lostId, 'connection_lost');
    await http.again();
    return `never sent; ${await soon(() => goesOn(policy, { session, client, server, lostId }))}`;
  };
}

/** A server that broke is left alone for a moment before it is started again. */
async function soon(work) {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 5 || !/DOWNSTREAM_UNAVAILABLE|not started again/.test(String(error.message))) throw error;
      await sleep(1000);
    }
  }
}

function assertUnknown(call) {
  assert.equal(call.status, 'unknown', JSON.stringify(call).slice(0, 300));
  assert.equal(call.side_effect_status, 'side_effect_unknown');
  assert.equal(call.resume_token, undefined);
}

/** In the middle of a call: nobody knows what it did, it is answered so, and nothing repeats it. */
function killedInCall(policy, server, cause, kill, revive = async () => undefined) {
  return async (session) => {
    const client = await session.asked();
    const pid = Number(textOf(await client.call(`${server}:pid`, {})));
    const file = session.file(server);
    const calling = client.call(`${server}:slow`, { ms: 60_000, file });
    await eventually('the tool began', async () => (await session.effects(server)).includes('began'));
    await kill(pid);
    const call = callOf(await calling);
    assertUnknown(call);
    await lossOf(session, call.capability_session_id, cause);
    await revive();
    const lostId = call.capability_session_id;
    const how = await soon(() => goesOn(policy, { session, client, server, lostId }));
    const begun = (await session.effects(server)).filter((line) => line === 'began');
    assert.equal(begun.length, 1);
    return `unknown, not repeated; ${how}`;
  };
}

/** Whichever is recorded first, the loss or the end of the call: the question is named as lost, or withdrawn. */
async function assertQuestionLost(session, loss, call) {
  const { timeline } = await recordOf(session, call.capability_session_id);
  const closed = timeline.filter(({ type }) => type === 'capability_input_closed').at(-1);
  const ids = (loss.lost_inputs ?? []).map((one) => one.tool_call_id);
  if (closed === undefined) assert.deepEqual(ids, [call.tool_call_id]);
  else assert.deepEqual([closed.how, closed.call_id], ['withdrawn', call.tool_call_id]);
}

/** While a person thinks: the question is lost with it, and the record names it. */
function killedInQuestion(policy, server, cause, kill, revive = async () => undefined) {
  return async (session) => {
    const client = await session.own();
    const pid = Number(textOf(await client.call(`${server}:pid`, {})));
    let shown = false;
    client.state.react = () => {
      shown = true;
      return never();
    };
    const calling = client.call(`${server}:ask`, {});
    await eventually('the question is shown', async () => shown);
    await kill(pid);
    const call = callOf(await calling);
    assertUnknown(call);
    const lostId = call.capability_session_id;
    await assertQuestionLost(session, await lossOf(session, lostId, cause), call);
    await revive();
    const how = await soon(() => goesOn(policy, { session, client, server, lostId }));
    await client.close();
    return `1 question lost, unknown; ${how}`;
  };
}

/** A host is killed with a call and a question open; both are in doubt until its lease has ended. */
async function killHost(session, { kind, call, ask }) {
  const victim = await (kind === undefined ? session.own() : connect(kind, session.place, { elicits: true }));
  let shown = false;
  victim.state.react = () => {
    shown = true;
    return never();
  };
  const file = session.file(call);
  victim.call(`${call}:slow`, { ms: 60_000, file }).catch(() => undefined);
  victim.call(`${ask}:ask`, {}).catch(() => undefined);
  await eventually('the tool began', async () => (await session.effects(call)).includes('began'));
  await eventually('the question is shown', async () => shown);
  const [open] = await sessionsOf(session, ask);
  assert.equal(open.waits_for.length, 1);
  if (kind === undefined) process.kill(victim.pid, 'SIGKILL');
  else await killHttpServer(session.place);
  const at = performance.now();
  return { leased: () => sleep(Math.max(0, LEASE_MS - (performance.now() - at))) };
}

/** Another process finds out, and says so, before it goes on. */
function hostKilled(policy, server, killed, heir) {
  return async (session) => {
    await (await killed()).leased();
    const client = await heir();
    const [{ capability_session_id: lostId, waits_for: waits }] = await sessionsOf(session, server);
    client.state.react = policy === 'approval' ? async () => ({ action: 'decline' }) : undefined;
    const first = callOf(await client.call(`${server}:echo`, { text: 'first' }));
    const loss = await lossOf(session, lostId, 'host_gone');
    assert.deepEqual(
      (loss.lost_inputs ?? []).map((one) => one.input_id),
      waits.map((one) => one.id),
    );
    const said = `${waits.length} question lost`;
    const requests = (await (await session.bare()).call('agent:list-requests', { limit: 200 }))
      .structuredContent;
    const open = requests.items.filter(
      (one) => one.tool === `${server}:slow` || one.tool === `${server}:ask`,
    );
    assert.equal(open.length, 1);
    const begun = (await session.effects(server)).filter((line) => line === 'began');
    assert.equal(begun.length, server.endsWith('-call') ? 1 : 0);
    if (policy === 'reinitialize') {
      assert.equal(first.status, 'done', JSON.stringify(first).slice(0, 300));
      await assertLinked(session, lostId, first.capability_session_id);
      return `${said}; call ${open[0].status}, not repeated; continued by another`;
    }
    return `${said}; call ${open[0].status}, not repeated; ${await goesOn(policy, { session, client, server, lostId })}`;
  };
}

export function lastingCells(policy, session, http) {
  let heir;
  const once = () => (heir ??= session.own());
  const host = killHost(session, { call: 'host-call', ask: 'host-ask' });
  const served = host.then(() =>
    killHost(session, { kind: 'v2-legacy-http', call: 'http-host-call', ask: 'http-host-ask' }),
  );
  for (const killing of [host, served]) killing.catch(() => undefined);
  const kill = async (pid) => void process.kill(pid, 'SIGKILL');
  const server = (name) => [() => http[name].kill(), () => http[name].again()];
  return {
    'http-404': forgotten(policy, 'gone', 'http_404', http.gone.forget),
    'http-400': forgotten(policy, 'stale', 'http_400_stale', http.stale.forget),
    'http-server-killed-at-rest': unreachable(policy, 'down', http.down),
    'http-server-killed-in-call': killedInCall(
      policy,
      'server-call',
      'connection_lost',
      ...server('server-call'),
    ),
    'http-server-killed-in-question': killedInQuestion(
      policy,
      'server-ask',
      'connection_lost',
      ...server('server-ask'),
    ),
    'child-killed-at-rest': lostAtRest(policy, 'child-idle', 'child_ended', (result) =>
      kill(Number(textOf(result))),
    ),
    'child-killed-in-call': killedInCall(policy, 'child-call', 'child_ended', kill),
    'child-killed-in-question': killedInQuestion(policy, 'child-ask', 'child_ended', kill),
    'host-killed-in-call': hostKilled(policy, 'host-call', () => host, once),
    'host-killed-in-question': hostKilled(policy, 'host-ask', () => host, once),
    'http-host-killed-in-call': hostKilled(policy, 'http-host-call', () => served, once),
    'http-host-killed-in-question': hostKilled(policy, 'http-host-ask', () => served, once),
  };
}

/** Where the limits are short. */
export function briefCells(policy) {
  return {
    'idle-limit': lostAtRest(policy, 'idle', 'idle_limit', async () => undefined),
    'max-wait': lostAtRest(policy, 'wait', 'max_wait', async (_first, client) => {
      client.state.react = () => never();
      const call = callOf(await client.call('wait:ask', {}));
      assert.equal(call.status, 'input_required', JSON.stringify(call).slice(0, 300));
    }),
  };
}
