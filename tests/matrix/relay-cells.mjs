// Owns the cells of the relay's matrix: what a downstream server asks, reports, logs and changes, as a client of ours meets
// it, and what the record says of it.
import assert from 'node:assert/strict';
import { callOf, eventually, never } from './session.mjs';

const REPLIES = {
  accept: { action: 'accept', content: { name: 'Ada', age: 36 } },
  decline: { action: 'decline' },
  cancel: { action: 'cancel' },
};

function textOf(result) {
  return result.content[0]?.text;
}

/** The capability session of a call, and the records on its chain. */
async function sessionOf(session, call) {
  assert.match(call.capability_session_id, /^cap_/);
  return session.inspect('capability_session', call.capability_session_id);
}

async function lastInput(session, call) {
  const { timeline } = await sessionOf(session, call);
  const asked = timeline.filter(({ type }) => type === 'capability_input_requested').at(-1);
  const closed = timeline.filter(({ type }) => type === 'capability_input_closed').at(-1);
  assert.ok(asked.seq < closed.seq);
  return { asked, closed };
}

function form(how) {
  return async (session, way) => {
    const client = await session.asked();
    client.state.react = async () => REPLIES[how];
    const before = client.state.questions.length;
    const result = await client.call(`${way}:ask`, { note: how });
    assert.deepEqual(JSON.parse(textOf(result)), REPLIES[how], JSON.stringify(result).slice(0, 400));
    const [question, ...more] = client.state.questions.slice(before);
    assert.equal(more.length, 0);
    assert.match(question.message, /Who are you\?/);
    assert.deepEqual(question.requestedSchema.required, ['name']);
    const { asked, closed } = await lastInput(session, callOf(result));
    assert.equal(asked.message, 'Who are you?');
    assert.equal(closed.action, how);
    return closed.how;
  };
}

async function address(session, way) {
  const client = await session.asked();
  client.state.react = async () => ({ action: 'accept' });
  const before = client.state.questions.length;
  const result = await client.call(`${way}:ask_url`, {});
  assert.deepEqual(JSON.parse(textOf(result)), { action: 'accept' }, JSON.stringify(result).slice(0, 400));
  const [question] = client.state.questions.slice(before);
  assert.equal(question.mode, 'url');
  assert.equal(question.url, 'https://example.test/visit?code=s3cret');
  const { asked } = await lastInput(session, callOf(result));
  assert.equal(asked.url, 'https://example.test/visit?…');
}

/** Both SDKs drop progress that arrives in one read with the answer, so what came is counted on the wire. */
async function progress(session, way) {
  const client = await session.asked();
  const from = client.state.wire.length;
  const result = await client.call(`${way}:progress`, { steps: 5 }, { onprogress: () => undefined });
  assert.equal(textOf(result), '5 steps');
  const wire = client.state.wire.slice(from);
  const answered = wire.findIndex(({ method }) => method === undefined);
  const heard = wire
    .slice(0, answered)
    .filter(({ method }) => method === 'notifications/progress')
    .map(({ params }) => params.progress);
  assert.ok(heard.length > 0 && heard.at(-1) >= 5, `heard ${heard.join()}`);
  heard.forEach((one, at) => assert.ok(at === 0 || one > heard[at - 1]));
  const { timeline } = await sessionOf(session, callOf(result));
  const { call_id: id } = timeline.filter(({ type }) => type === 'capability_progress_reported').at(-1);
  const items = timeline
    .filter(({ type, call_id }) => type === 'capability_progress_reported' && call_id === id)
    .flatMap((one) => one.items);
  assert.deepEqual(
    items.map((one) => one.progress),
    [1, 2, 3, 4, 5],
  );
  return `${heard.length} heard, 5 on record`;
}

async function cancellation(session, way) {
  const client = await session.asked();
  const file = session.file(`slow-${way}`);
  const stop = new AbortController();
  const calling = client.call(`${way}:slow`, { ms: 60_000, file }, { signal: stop.signal });
  calling.catch(() => undefined);
  await eventually('the tool began', async () => (await session.effects(`slow-${way}`)).includes('began'));
  stop.abort('enough');
  await assert.rejects(calling);
  await eventually('the server heard it', async () =>
    (await session.effects(`slow-${way}`)).includes('canceled'),
  );
}

/** A cancel while the person thinks reaches the server too, and is on record. */
async function cancelAsked(session, way) {
  const client = await session.asked();
  let shown = false;
  client.state.react = () => {
    shown = true;
    return never();
  };
  const looker = await session.bare();
  const questions = async () => {
    const { structuredContent } = await looker.call('agent:list-capability-sessions', { limit: 200 });
    return structuredContent.items.filter(({ server }) => server === way).flatMap((one) => one.waits_for);
  };
  const before = (await questions()).length;
  const stop = new AbortController();
  const calling = client.call(`${way}:ask`, { note: 'cancel-asked' }, { signal: stop.signal });
  calling.catch(() => undefined);
  await eventually('the question is shown', async () => shown);
  stop.abort('enough');
  await assert.rejects(calling);
  await eventually('it waits no longer', async () => (await questions()).length === before);
  return 'withdrawn';
}

async function pending(session, way) {
  const client = await session.own();
  client.state.react = () => never();
  const result = await client.call(`${way}:ask`, { note: 'pending' });
  const call = callOf(result);
  assert.equal(call.status, 'input_required', JSON.stringify(call).slice(0, 300));
  assert.equal(call.input.message, 'Who are you?');
  assert.match(call.resume_token, /^cap_/);
  const { state } = await sessionOf(session, call);
  assert.equal(state.capability_session_status, 'resumable');
  await client.close();
  return 'input_required';
}

async function silent(session, way) {
  const client = await session.bare();
  const result = await client.call(`${way}:ask`, { note: 'silent' });
  assert.deepEqual(JSON.parse(textOf(result)), { action: 'cancel' });
  const { closed } = await lastInput(session, callOf(result));
  assert.equal(closed.how, 'not_shown');
}

async function logging(session, way) {
  const client = await session.asked();
  const result = await client.call(`${way}:shout`, {});
  assert.equal(textOf(result), 'shouted');
  return 'answered';
}

async function listChange(session, way) {
  const client = await session.asked();
  const before = client.state.changed;
  assert.equal(textOf(await client.call(`${way}:echo`, { text: 'a' })), 'a');
  await client.call(`${way}:mutate`, {});
  await eventually('the client is told', async () => client.state.changed > before);
  await eventually('the tool is no longer listed', async () =>
    (await client.list()).every(({ name }) => name !== `${way}:echo`),
  );
  const refused = await client
    .call(`${way}:echo`, { text: 'a' })
    .catch((error) => ({ isError: true, error }));
  assert.equal(refused.isError, true);
  return 'quarantined';
}

/** For each way to our own relay server. The change comes last: it quarantines the server. */
export const RELAY_CELLS = {
  progress,
  'form-accept': form('accept'),
  'form-decline': form('decline'),
  'form-cancel': form('cancel'),
  url: address,
  'no-elicitation': silent,
  logging,
  cancellation,
  'list-change': listChange,
};

const NO_REQUEST =
  'a client of the newer protocol is asked by the end of its request: while its person thinks no request is open';

/** Only where a client is asked within its request; for the others, why not. */
export const LEGACY_ONLY = {
  'unanswered-waits': { run: pending, why: NO_REQUEST },
  'cancel-asked': { run: cancelAsked, why: NO_REQUEST },
};

const OLD_ONLY = 'this server speaks the older protocol only';
const NEVER_ASKS = 'this server never asks, reports or changes';

/** What a public server cannot show. */
export const ABSENT = {
  'everything-stdio/modern': OLD_ONLY,
  'everything-http/modern': OLD_ONLY,
  'files/modern': OLD_ONLY,
  'memory/modern': OLD_ONLY,
  'everything-stdio/cancellation': 'its long operation does not listen to a cancel',
  'everything-http/cancellation': 'its long operation does not listen to a cancel',
  'everything-stdio/list-change': 'its list never changes after the start',
  'everything-http/list-change': 'its list never changes after the start',
  'files/asking': NEVER_ASKS,
  'memory/asking': NEVER_ASKS,
  'files/http': 'this server speaks stdio only',
  'memory/http': 'this server speaks stdio only',
};

function everythingCells(server) {
  return {
    [`${server}/echo`]: async (session) => {
      const client = await session.asked();
      assert.match(textOf(await client.call(`${server}:echo`, { message: 'hello' })), /hello/);
    },
    [`${server}/progress`]: async (session) => {
      const client = await session.asked();
      const heard = [];
      await client.call(
        `${server}:trigger-long-running-operation`,
        { duration: 0.6, steps: 3 },
        { onprogress: (one) => heard.push(one.progress) },
      );
      assert.ok(heard.at(-1) >= 3, `heard ${heard.join()}`);
      return `${heard.length} heard`;
    },
    ...Object.fromEntries(
      ['decline', 'cancel'].map((how) => [
        `${server}/form-${how}`,
        async (session) => {
          const client = await session.asked();
          client.state.react = async () => REPLIES[how];
          const result = await client.call(`${server}:trigger-elicitation-request`, {});
          assert.match(JSON.stringify(result.content), new RegExp(how === 'decline' ? 'declined' : 'cancel'));
          const { closed } = await lastInput(session, callOf(result));
          assert.equal(closed.action, how);
        },
      ]),
    ),
    [`${server}/form-accept`]: async (session) => {
      const client = await session.asked();
      client.state.react = async ({ requestedSchema }) => ({
        action: 'accept',
        content: Object.fromEntries(
          (requestedSchema.required ?? []).map((name) => [
            name,
            requestedSchema.properties[name].default ?? 'Ada',
          ]),
        ),
      });
      const result = await client.call(`${server}:trigger-elicitation-request`, {});
      assert.notEqual(result.isError, true, JSON.stringify(result).slice(0, 300));
      const { closed } = await lastInput(session, callOf(result));
      assert.equal(closed.how, 'accepted');
    },
    [`${server}/url`]: async (session) => {
      const client = await session.asked();
      client.state.react = async () => ({ action: 'accept' });
      const args = { url: 'https://example.test/open', message: 'Open it.' };
      const result = await client.call(`${server}:trigger-url-elicitation`, args);
      assert.notEqual(result.isError, true, JSON.stringify(result).slice(0, 300));
      assert.equal(client.state.questions.at(-1).url, 'https://example.test/open');
    },
  };
}

async function filesystem(session) {
  const client = await session.asked();
  const result = await client.call('files:list_allowed_directories', {});
  assert.match(textOf(result), /sandbox/);
}

async function memory(session) {
  const client = await session.asked();
  const entities = [{ name: `of ${session.kind}`, entityType: 'test', observations: ['seen'] }];
  assert.notEqual((await client.call('memory:create_entities', { entities })).isError, true);
  assert.match(
    JSON.stringify((await client.call('memory:read_graph', {})).content),
    new RegExp(session.kind),
  );
}

/** Servers that anybody can install. */
export const PUBLIC_CELLS = {
  ...everythingCells('everything-stdio'),
  ...everythingCells('everything-http'),
  'files/list': filesystem,
  'memory/write-and-read': memory,
};
