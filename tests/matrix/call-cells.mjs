// Owns the cells about everything but approvals: lists, turns, names, content, progress, cancellation of a running tool.
import assert from 'node:assert/strict';
import { command } from './place.mjs';
import { answers, callOf, deliveries, eventually } from './session.mjs';

const APPROVE = { action: 'accept', content: { decision: 'approve' } };
const TURN = { messages: [{ role: 'user', content: 'Count this.' }] };

const names = async (client) => (await client.list()).map(({ name }) => name);

async function discover(session) {
  const client = await session.asked();
  assert.equal(client.era(), session.modern ? 'modern' : 'legacy');
  const listed = await client.list();
  const found = new Map(listed.map((tool) => [tool.name, tool]));
  assert.equal(found.size, listed.length, 'a name twice');
  for (const name of [
    'agent:execute-turn',
    'agent:call-tool',
    'agent:get-health',
    'high:count',
    'probe:slow',
  ])
    assert.equal(found.get(name)?.inputSchema.type, 'object', name);
  assert.equal(found.get('high:count')._meta['agent-runtime/tool'].approval_required, true);
  const { annotations, _meta } = found.get('probe:echo');
  assert.deepEqual(annotations, { readOnlyHint: true });
  assert.equal(_meta['probe/page'], 'ui://probe/echo', 'what the server says about its tool to hosts');
  // Pinned but in no catalog: not offered.
  assert.equal(found.has('probe:crash'), false);
  await assert.rejects(client.call('probe:crash'), { code: -32602 });
  return `${listed.length} tools`;
}

/** A server that changes after it was pinned loses its tools at once; a person's pin brings them back. */
async function vanishes(session) {
  const client = await session.own();
  assert.ok((await names(client)).includes('shift:echo'));
  await client.call('shift:mutate');
  await eventually('the client is told', () => client.state.changed > 0);
  const left = await names(client);
  assert.deepEqual(
    left.filter((name) => name.startsWith('shift:')),
    [],
  );
  assert.ok(left.includes('probe:echo'));
  await assert.rejects(client.call('shift:echo', { text: 'x' }), { code: -32602 });
  const told = client.state.changed;
  const pinned = await command(session.place, 'capabilities', 'pin', 'shift', '--yes');
  assert.equal(pinned.code, 0, pinned.out + pinned.err);
  await eventually('it is back', async () => (await names(client)).includes('shift:echo'));
  assert.ok(client.state.changed > told);
  // The child that had changed is not the one that was pinned: the call reaches a new one.
  const back = await client.call('shift:echo', { text: 'back' });
  assert.deepEqual(back.content, [{ type: 'text', text: 'back' }]);
  return 'back within one connection';
}

/** Structured content is what the schema says, and the same stands in the text. */
function sameInText(result) {
  const texts = result.content.filter(({ type }) => type === 'text').map(({ text }) => text);
  assert.deepEqual(JSON.parse(texts.at(-1)), result.structuredContent);
  return texts;
}

/** A turn asks for a tool, a person approves it, it runs once, and the next turn knows. */
async function turn(session) {
  const client = await session.asked();
  await client.list(); // so that the client checks structured content against the schema
  const first = await client.call('agent:execute-turn', TURN);
  const asked = first.structuredContent;
  assert.equal(asked.status, 'tool_request');
  assert.equal(asked.decision.decision, 'approval_required');
  assert.match(sameInText(first)[0], /I will count this once/);
  const { session_id, tool_call_id } = asked;
  client.state.react = answers(APPROVE, 1150);
  const ran = await client.call('agent:call-tool', { session_id, tool_call_id });
  assert.equal(ran.structuredContent.status, 'done', JSON.stringify(ran.content));
  assert.equal(ran.structuredContent.side_effect_status, 'applied');
  assert.equal((await session.effects('turn')).length, 1);
  const approval = await session.approval('turn');
  assert.deepEqual([approval.status, deliveries(approval)], ['consumed', ['answered']]);
  const last = await client.call('agent:execute-turn', { session_id, messages: [] });
  assert.equal(last.structuredContent.status, 'reply', JSON.stringify(last.content));
  assert.equal((await session.effects('turn')).length, 1);
}

async function spelling(session) {
  const client = await session.asked();
  for (const name of ['agent:execute-turn', 'agent_execute_turn']) {
    assert.equal((await client.call(name, TURN)).structuredContent.status, 'tool_request', name);
  }
  for (const name of ['probe:echo', 'probe_echo']) {
    assert.equal((await client.call(name, { text: name })).structuredContent.text, name);
  }
  const host = await session.own({ name: 'claude-code' });
  const portable = await names(host);
  assert.deepEqual(
    portable.filter((name) => name.includes(':')),
    [],
  );
  assert.ok(portable.includes('agent_execute_turn') && portable.includes('probe_echo'));
  const canonical = await names(client);
  assert.ok(canonical.includes('agent:execute-turn') && !canonical.includes('agent_execute_turn'));
  assert.equal(canonical.length, portable.length);
}

async function content(session) {
  const client = await session.asked();
  await client.list();
  const health = await client.call('agent:get-health');
  assert.match(sameInText(health)[0], /^Health: /);
  const echo = await client.call('probe:echo', { text: 'grün 𝄞' });
  assert.deepEqual(echo.content, [{ type: 'text', text: 'grün 𝄞' }]);
  assert.equal(echo.structuredContent.text, 'grün 𝄞');
  assert.equal(callOf(echo).status, 'done');
  const wrong = await client.call('agent:inspect', { kind: 'request' });
  assert.equal(wrong.isError, true);
  assert.equal(wrong.structuredContent.error.code, 'INVALID_INPUT');
  sameInText(wrong);
  return `health ${health.structuredContent.status}`;
}

// Both SDKs drop progress that arrives in one read with the answer, so what came is counted on the wire, before the
// answer, and the callback's share is only told.
async function listenTo(client, tool, args) {
  const from = client.state.wire.length;
  let heard = 0;
  const result = await client.call(tool, args, { onprogress: () => (heard += 1) });
  const wire = client.state.wire.slice(from);
  const answered = wire.findIndex(({ method }) => method === undefined);
  const sent = wire
    .slice(0, answered)
    .filter(({ method }) => method === 'notifications/progress')
    .map(({ params }) => params);
  const values = sent.map(({ progress }) => progress);
  assert.ok(values.length > 0, 'no progress');
  assert.ok(
    values.every((value, at) => at === 0 || value > values[at - 1]),
    values.join(),
  );
  return { result, sent, told: `${sent.length} notifications, ${heard} heard` };
}

async function toolProgress(session) {
  const { result, sent, told } = await listenTo(await session.asked(), 'probe:progress', { steps: 40 });
  assert.deepEqual(result.content, [{ type: 'text', text: '40 steps' }]);
  const { progress, total, message } = sent.at(-1);
  assert.deepEqual([progress, total, message], [40, 40, 'step 40']);
  return told;
}

async function turnProgress(session) {
  const client = await session.asked();
  const { result, sent, told } = await listenTo(client, 'agent:execute-turn', { ...TURN, stream: true });
  assert.equal(result.structuredContent.status, 'tool_request');
  const snapshots = sent.flatMap(({ _meta }) => _meta?.['agent-runtime/snapshots'] ?? []);
  assert.ok(snapshots.length > 1);
  snapshots.forEach(({ sequence }, at) => assert.equal(sequence, at));
  assert.deepEqual(
    snapshots.map(({ state }) => state).filter((state) => state !== 'partial'),
    ['final'],
  );
  const { status, assistant_message } = result.structuredContent;
  const final = snapshots.at(-1).data;
  assert.deepEqual([final.status, final.assistant_message], [status, assistant_message]);
  return `${told}, ${snapshots.length} snapshots`;
}

/** The probe hears that it is cancelled; what it had done by then is not known, and so it is recorded. */
async function cancelledTool(session) {
  const client = await session.asked();
  const stop = new AbortController();
  const args = { ms: 60_000, file: session.file('slow') };
  const calling = client.call('probe:slow', args, { signal: stop.signal });
  calling.catch(() => undefined);
  await eventually('the tool began', async () => (await session.effects('slow')).includes('began'));
  stop.abort('enough');
  await assert.rejects(calling);
  await eventually('the tool heard it', async () => (await session.effects('slow')).includes('canceled'));
  assert.deepEqual(await session.effects('slow'), ['began', 'canceled']);
  const looker = await session.bare();
  const request = await eventually('the end is on record', async () => {
    const { structuredContent } = await looker.call('agent:list-requests', {
      filter: { tool: 'probe:slow' },
    });
    const [one] = structuredContent.items;
    return one?.status === 'in_progress' ? undefined : one;
  });
  assert.equal(request.side_effect_status, 'side_effect_unknown', JSON.stringify(request));
  assert.notEqual(request.status, 'done');
  assert.deepEqual((await client.call('probe:echo', { text: 'alive' })).content, [
    { type: 'text', text: 'alive' },
  ]);
  return `recorded as ${request.status}`;
}

export const CALL_CELLS = {
  discover,
  vanishes,
  turn,
  spelling,
  content,
  'progress-tool': toolProgress,
  'progress-turn': turnProgress,
  'cancelled-tool': cancelledTool,
};
