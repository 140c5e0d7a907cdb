// Owns the cells about approvals: each reaction of a client, what it moved, what ran, and what is on record.
import assert from 'node:assert/strict';
import { answerFromQueue, ELICITATION_WAIT_MS } from './place.mjs';
import { answers, assertPending, callOf, deliveries, eventually, never } from './session.mjs';

const APPROVE = { action: 'accept', content: { decision: 'approve', note: 'seen' } };
const REJECT = { action: 'accept', content: { decision: 'reject', note: 'no' } };
// Just beyond the second below which an accept counts for low risk only.
const READ_MS = 1150;

/** One call of the counter of that risk, with one reaction to its question. */
async function ask(session, { name, risk, react }) {
  const client = await session.asked();
  client.state.react = react;
  const before = client.state.questions.length;
  const result = await client.call(`${risk}:count`, { file: session.file(name) });
  const questions = client.state.questions.slice(before);
  return { client, result, questions };
}

async function assertAnswered(session, name, { status, decision }) {
  const approval = await session.approval(name);
  assert.equal(approval.status, status);
  assert.deepEqual(deliveries(approval), ['answered']);
  assert.equal(approval.delivered[0].answer, decision);
  assert.deepEqual(
    [approval.answered_by.attestation, approval.answered_by.channel],
    ['client', 'elicitation'],
  );
  return approval;
}

/** Approved: it runs once, in the probe's process, and the record says so. */
function accepted(name, risk, after) {
  return async (session) => {
    const { client, result, questions } = await ask(session, { name, risk, react: answers(APPROVE, after) });
    assert.equal(questions.length, 1);
    assert.match(questions[0].message, new RegExp(`${risk}:count`));
    assert.notEqual(result.isError, true, JSON.stringify(result.content));
    assert.deepEqual(result.content, [{ type: 'text', text: 'counted' }]);
    const effects = await session.effects(name);
    assert.equal(effects.length, 1);
    const { pid } = JSON.parse(effects[0]);
    assert.ok(pid !== process.pid && pid !== client.pid, 'the effect is of another process');
    const approval = await assertAnswered(session, name, { status: 'consumed', decision: 'approve' });
    const steps = ['approval_requested', 'approval_approved', 'approval_consumed'];
    assert.deepEqual(
      approval.steps.filter((step) => steps.includes(step)),
      steps,
    );
    const request = await session.inspect('request', callOf(result).tool_call_id);
    assert.equal(request.state.side_effect_status, 'applied');
    return `latency ${approvalLatency(approval)} ms`;
  };
}

function approvalLatency(approval) {
  return Math.round(approval.delivered[0].latency_ms);
}

async function rejected(session) {
  const { result } = await ask(session, { name: 'rejected', risk: 'high', react: answers(REJECT) });
  assert.equal(result.isError, true);
  assert.equal(callOf(result).status, 'denied');
  assert.deepEqual(await session.effects('rejected'), []);
  const approval = await assertAnswered(session, 'rejected', { status: 'rejected', decision: 'reject' });
  assert.equal(approval.resolution_note, 'no');
}

/** Not answered: it waits, the answer says where, and the same call is not put to this client again. */
function unanswered(name, { risk = 'high', react, expected, says }) {
  return async (session) => {
    const { client, result } = await ask(session, { name, risk, react });
    const call = callOf(result);
    assert.equal(call.status, 'approval_required');
    if (says !== undefined) assert.match(JSON.stringify(result.content), says);
    const approval = await assertPending(session, name, [expected]);
    assert.equal(call.approval.approval_id, approval.approval_id);
    const asked = client.state.questions.length;
    const again = await client.call(`${risk}:count`, { file: session.file(name) });
    assert.equal(callOf(again).approval.approval_id, approval.approval_id);
    assert.equal(client.state.questions.length, asked, 'asked a second time');
    await assertPending(session, name, [expected]);
    return `latency ${approvalLatency(approval)} ms`;
  };
}

/** An accept that is too fast for its risk is on record and moves nothing. */
function tooFast(risk) {
  return unanswered(`too-fast-${risk}`, {
    risk,
    react: answers(APPROVE),
    expected: 'answered',
    says: /faster than a person can read/,
  });
}

/** No elicitation: the call answers at once where to go; the queue's answer lets the same call run, once. */
async function queue(session) {
  const client = await session.bare();
  const args = { file: session.file('queue') };
  await client.list(); // opened by now, so that only the call is timed
  const began = performance.now();
  const call = callOf(await client.call('high:count', args));
  const took = Math.round(performance.now() - began);
  assert.equal(call.status, 'approval_required');
  assert.ok(took < ELICITATION_WAIT_MS / 2, `took ${took} ms`);
  const { approval_id, answer_at, answer_by } = call.approval;
  assert.ok(answer_at.some((place) => place.includes(`agent-runtime approvals resolve ${approval_id}`)));
  assert.ok(Date.parse(answer_by) > Date.now());
  await assertPending(session, 'queue', ['not_shown/no_capability']);
  const outcome = await answerFromQueue(session.place, approval_id, 'approve');
  assert.equal(outcome.moved, true, outcome.why);
  assert.deepEqual((await client.call('high:count', args)).content, [{ type: 'text', text: 'counted' }]);
  assert.equal((await session.effects('queue')).length, 1);
  const approval = await session.approval('queue');
  assert.equal(approval.status, 'consumed');
  assert.equal(approval.answered_by.channel, 'terminal');
  assert.equal(callOf(await client.call('high:count', args)).status, 'approval_required');
  assert.equal((await session.effects('queue')).length, 1, 'one approval, one effect');
  return `answered after ${took} ms`;
}

async function queueRejects(session) {
  const client = await session.bare();
  const args = { file: session.file('queue-rejects') };
  const { approval } = callOf(await client.call('high:count', args));
  await answerFromQueue(session.place, approval.approval_id, 'reject');
  assert.equal(callOf(await client.call('high:count', args)).status, 'denied');
  assert.deepEqual(await session.effects('queue-rejects'), []);
}

// A modern question is the end of a request, so nothing tells the server that nobody will come back: the call fails in
// the client, and the open question is recorded as unanswered when the connection ends.
async function leftOpen(session, { name, client, calling }) {
  if (calling !== undefined) await assert.rejects(calling);
  await assertPending(session, name, []);
  await assertAlive(client);
  await client.close();
  await eventually('the unanswered question is on record', async () => {
    const approval = await session.approval(name);
    return approval.deliveries.length > 0;
  });
  await assertPending(session, name, ['timed_out']);
}

async function assertAlive(client) {
  assert.deepEqual((await client.call('probe:echo', { text: 'alive' })).content, [
    { type: 'text', text: 'alive' },
  ]);
}

async function handlerThrows(session) {
  const client = await session.own();
  client.state.react = async () => Promise.reject(new TypeError('no window'));
  const calling = client.call('high:count', { file: session.file('throws') });
  if (session.modern) return leftOpen(session, { name: 'throws', client, calling });
  assert.equal(callOf(await calling).status, 'approval_required');
  await assertPending(session, 'throws', ['not_shown/error']);
  await assertAlive(client);
}

async function neverAnswers(session) {
  const client = await session.own();
  client.state.react = never;
  const stop = new AbortController();
  const began = performance.now();
  const calling = client.call('high:count', { file: session.file('never') }, { signal: stop.signal });
  calling.catch(() => undefined);
  if (session.modern) {
    await eventually('the question', () => client.state.questions.length > 0);
    // The SDK does not even hear the cancel while its handler is busy, so there is no end of the call to wait for.
    stop.abort('given up');
    return leftOpen(session, { name: 'never', client });
  }
  assert.equal(callOf(await calling).status, 'approval_required');
  const took = performance.now() - began;
  assert.ok(took >= ELICITATION_WAIT_MS - 50 && took < ELICITATION_WAIT_MS + 2000, `took ${took} ms`);
  await assertPending(session, 'never', ['timed_out']);
  await assertAlive(client);
  return `answered after ${Math.round(took)} ms`;
}

async function cancelled(session) {
  const client = await session.own();
  const stop = new AbortController();
  const closes = new Promise((resolve) => {
    stop.signal.addEventListener('abort', () => resolve({ action: 'cancel' }));
  });
  // The modern SDK waits for its handler before it hears a cancel: there the window closes with its call.
  client.state.react = session.modern ? () => closes : never;
  const calling = client.call('high:count', { file: session.file('cancelled') }, { signal: stop.signal });
  calling.catch(() => undefined);
  await eventually('the question', () => client.state.questions.length > 0);
  stop.abort('enough');
  if (session.modern) return leftOpen(session, { name: 'cancelled', client, calling });
  await assert.rejects(calling);
  await eventually('the withdrawal is on record', async () => {
    const approval = await session.approval('cancelled');
    return approval.deliveries.length > 0;
  });
  await assertPending(session, 'cancelled', ['withdrawn']);
  await assertAlive(client);
}

export const APPROVAL_CELLS = {
  'accept-low': accepted('accept-low', 'low', 300),
  'accept-medium': accepted('accept-medium', 'medium', READ_MS),
  'accept-high': accepted('accept-high', 'high', READ_MS),
  'accept-low-fast': accepted('accept-low-fast', 'low', 0),
  'accept-medium-fast': tooFast('medium'),
  'accept-high-fast': tooFast('high'),
  'accept-undecided': unanswered('undecided', {
    react: answers({ action: 'accept', content: {} }, 300),
    expected: 'not_shown/malformed',
  }),
  reject: rejected,
  decline: unanswered('decline', {
    react: answers({ action: 'decline' }, 400),
    expected: 'declined_by_client',
  }),
  'decline-fast': unanswered('decline-fast', {
    react: answers({ action: 'decline' }),
    expected: 'not_shown/too_fast',
  }),
  dismiss: unanswered('dismiss', {
    react: answers({ action: 'cancel' }, 400),
    expected: 'not_shown/canceled',
  }),
  'no-elicitation': queue,
  'no-elicitation-rejected': queueRejects,
  'handler-throws': handlerThrows,
  'never-answers': neverAnswers,
  'cancelled-while-asked': cancelled,
};
