import { describe, expect, test } from 'vitest';
import { inputRequired } from '@modelcontextprotocol/server';
import { randomIds } from '../../src/base/ids.ts';
import { APPROVAL_FORM } from '../../src/server/delivery.ts';
import { LineGuard } from '../../src/server/line-guard.ts';
import { createMcpServer } from '../../src/server/mcp-server.ts';
import { createRequestStates } from '../../src/server/request-state.ts';
import { StdioPipes } from '../../src/server/stdio-transport.ts';
import { ReadTable } from '../../src/server/reads/read-table.ts';
import { createToolTable } from '../../src/server/tool-table.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { CLIENT_KINDS, openPipes, RawClient } from './clients.ts';
import type { Elicit } from './clients.ts';
import { FakeRuntime } from './fake-runtime.ts';
import { CALLER, connect, deferred, KEY, raw, settled } from './harness.ts';

const CALL = { path: '/etc/hosts' };
type Reaction = Awaited<ReturnType<Elicit>>;
const approve: Reaction = { action: 'accept', content: { decision: 'approve' } };

/** A person whose reaction the test gives when it wants. */
function person(): {
  elicit: Elicit;
  asked: Promise<string>;
  react: (reaction: Reaction) => void;
  times: () => number;
} {
  const shown = deferred<string>();
  const reaction = deferred<Reaction>();
  let times = 0;
  return {
    elicit: async ({ message, requestedSchema }) => {
      times += 1;
      expect(requestedSchema).toMatchObject({ required: ['decision'] });
      expect(JSON.stringify(requestedSchema)).not.toContain('default');
      shown.open(message);
      return reaction.promise;
    },
    asked: shown.promise,
    react: reaction.open,
    times: () => times,
  };
}

const statusOf = (result: { _meta?: unknown }): unknown =>
  (result._meta as Record<string, { status: string }> | undefined)?.['agent-runtime/call']?.status;

describe.each(CLIENT_KINDS)('%s', (kind) => {
  test('an approval runs the call once, as the call that was asked about', async () => {
    const someone = person();
    const { client, runtime, clock } = await connect(kind, { elicit: someone.elicit, name: 'host' });
    const calling = client.call('files:write', CALL);
    expect(await someone.asked).toContain('Approve this call?');
    expect(runtime.effects).toEqual([]);
    clock.advance(1500);
    someone.react({ action: 'accept', content: { decision: 'approve', note: 'go' } });
    const result = await calling;
    expect(result.structuredContent).toEqual({ ok: true });
    expect(runtime.effects).toEqual([{ tool: 'files:write', args: CALL, callId: 'call_1' }]);
    expect(runtime.deliveries).toEqual([
      {
        delivery: { kind: 'answered', decision: 'approve', note: 'go', latencyMs: 1500 },
        answerer: {
          tenant: 'local',
          principal: 'os:1000',
          roles: [],
          attestation: 'client',
          channel: 'elicitation',
          clientName: 'host',
        },
        actor: 'stdio:1',
      },
    ]);
  });

  test('agent:call-tool passes the same gate', async () => {
    const { client, runtime } = await connect(kind, { elicit: async () => approve });
    const args = { session_id: 'ses_1', tool_call_id: 'call_77' };
    const result = await client.call('agent:call-tool', args);
    expect(result.structuredContent).toMatchObject({ status: 'done', side_effect_status: 'applied' });
    expect(result.isError ?? false).toBe(false);
    expect(runtime.effects).toEqual([
      { tool: 'files:write', args: { recorded: 'call_77' }, callId: 'call_77' },
    ]);
  });

  test('a rejection denies the call', async () => {
    const { client, runtime } = await connect(kind, {
      elicit: async () => ({ action: 'accept', content: { decision: 'reject' } }),
    });
    const result = await client.call('files:write', CALL);
    expect(result.isError).toBe(true);
    expect(statusOf(result)).toBe('denied');
    expect(runtime.effects).toEqual([]);
  });

  test.each<[string, Reaction, number, object]>([
    ['a decline', { action: 'decline' }, 400, { kind: 'declined_by_client', latencyMs: 400 }],
    ['a decline too fast to be read', { action: 'decline' }, 249, { kind: 'not_shown', why: 'too_fast' }],
    ['a cancel', { action: 'cancel' }, 5000, { kind: 'not_shown', why: 'canceled' }],
    [
      'an accept without a decision',
      { action: 'accept', content: {} },
      900,
      { kind: 'not_shown', why: 'malformed' },
    ],
    [
      'an accept of something else',
      { action: 'accept', content: { decision: 'APPROVE' } },
      900,
      { kind: 'not_shown', why: 'malformed' },
    ],
  ])('%s leaves it pending, at once, and is not asked again', async (_name, reaction, after, expected) => {
    const someone = person();
    const { client, runtime, clock } = await connect(kind, { elicit: someone.elicit });
    const calling = client.call('files:write', CALL);
    await someone.asked;
    clock.advance(after);
    someone.react(reaction);
    const result = await calling;
    expect(statusOf(result)).toBe('approval_required');
    expect(JSON.stringify(result.content)).toContain('agent-runtime approvals resolve apr_1');
    expect(runtime.deliveries.map(({ delivery }) => delivery)).toEqual([expect.objectContaining(expected)]);
    expect(runtime.approvals.map(({ state }) => state)).toEqual(['pending']);

    expect(statusOf(await client.call('files:write', CALL))).toBe('approval_required');
    expect(someone.times()).toBe(1);
    expect(runtime.effects).toEqual([]);

    runtime.approvals[0]!.state = 'approved';
    expect((await client.call('files:write', CALL)).structuredContent).toEqual({ ok: true });
  });

  test('an answer that does not suffice says why and leaves it pending', async () => {
    const runtime = new FakeRuntime();
    runtime.refuses = 'same_user is needed';
    const { client } = await connect(kind, { runtime, elicit: async () => approve });
    const result = await client.call('files:write', CALL);
    expect(statusOf(result)).toBe('approval_required');
    expect(JSON.stringify(result.content)).toContain('same_user is needed');
    expect(runtime.effects).toEqual([]);
  });

  test('without the capability nothing is asked, and that is recorded', async () => {
    const { client, runtime } = await connect(kind);
    expect(statusOf(await client.call('files:write', CALL))).toBe('approval_required');
    expect(runtime.deliveries.map(({ delivery }) => delivery)).toEqual([
      { kind: 'not_shown', why: 'no_capability', latencyMs: 0 },
    ]);
  });

  test('answered elsewhere while the question is open: the call runs', async () => {
    const someone = person();
    const { client, runtime } = await connect(kind, { elicit: someone.elicit });
    const calling = client.call('files:write', CALL);
    await someone.asked;
    runtime.approvals[0]!.state = 'approved';
    someone.react({ action: 'cancel' });
    expect((await calling).structuredContent).toEqual({ ok: true });
    expect(runtime.effects).toHaveLength(1);
  });

  test('the twin of an open call is not asked too', async () => {
    const someone = person();
    const { client, runtime } = await connect(kind, { elicit: someone.elicit });
    const first = client.call('files:write', CALL);
    await someone.asked;
    expect(statusOf(await client.call('files:write', CALL))).toBe('approval_required');
    expect(someone.times()).toBe(1);
    someone.react(approve);
    expect((await first).structuredContent).toEqual({ ok: true });
    expect(runtime.effects).toHaveLength(1);
  });

  verifies(
    { partial: ['AP-17'] },
    'accept approves, reject rejects, decline and cancel leave pending, no elicitation uses the queue',
    async () => {
      const reactions: [Reaction | undefined, string][] = [
        [approve, 'consumed'],
        [{ action: 'accept', content: { decision: 'reject' } }, 'rejected'],
        [{ action: 'decline' }, 'pending'],
        [{ action: 'cancel' }, 'pending'],
        [undefined, 'pending'],
      ];
      for (const [reaction, state] of reactions) {
        const { client, runtime } = await connect(
          kind,
          reaction === undefined ? {} : { elicit: async () => reaction },
        );
        await client.call('files:write', CALL);
        expect(runtime.approvals.map((approval) => approval.state)).toEqual([state]);
        expect(runtime.effects).toHaveLength(state === 'consumed' ? 1 : 0);
      }
    },
  );
});

describe.each(['v2 legacy', 'v1'] as const)('%s asks while the call waits', (kind) => {
  test('a client that fails at the question has not shown it', async () => {
    const { client, runtime } = await connect(kind, {
      elicit: async () => Promise.reject(new TypeError('no window')),
    });
    expect(statusOf(await client.call('files:write', CALL))).toBe('approval_required');
    expect(runtime.deliveries[0]?.delivery).toMatchObject({ kind: 'not_shown', why: 'error' });
  });

  test('a client that never answers is given up after the wait limit, kept alive until then', async () => {
    const someone = person();
    const { client, runtime, clock } = await connect(kind, { elicit: someone.elicit });
    const heard: Record<string, unknown>[] = [];
    const calling = client.call('files:write', CALL, { onprogress: (progress) => heard.push(progress) });
    await someone.asked;
    clock.advance(24_999);
    await settled();
    expect(runtime.deliveries).toEqual([]);
    clock.advance(1);
    expect(statusOf(await calling)).toBe('approval_required');
    expect(runtime.deliveries[0]?.delivery).toEqual({ kind: 'timed_out', latencyMs: 25_000 });
    expect(heard.length).toBeGreaterThanOrEqual(4);
    const values = heard.map(({ progress }) => progress as number);
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(new Set(values).size).toBe(values.length);
  });

  test('a wait configured beyond fifty seconds ends at fifty', async () => {
    const someone = person();
    const runtime = new FakeRuntime();
    runtime.config.runtime.elicitationWaitMs = 90_000;
    const { client, clock } = await connect(kind, { runtime, elicit: someone.elicit });
    const calling = client.call('files:write', CALL);
    await someone.asked;
    clock.advance(50_000);
    await calling;
    expect(runtime.deliveries[0]?.delivery).toEqual({ kind: 'timed_out', latencyMs: 50_000 });
  });

  test('a call that its client cancels withdraws the question', async () => {
    const someone = person();
    const { client, runtime } = await connect(kind, { elicit: someone.elicit });
    const stop = new AbortController();
    const calling = client.call('files:write', CALL, { signal: stop.signal });
    await someone.asked;
    stop.abort('enough');
    await expect(calling).rejects.toThrow();
    await settled();
    expect(runtime.deliveries[0]?.delivery).toMatchObject({ kind: 'withdrawn' });
    expect(runtime.effects).toEqual([]);
    expect((await client.call('files:read', {})).structuredContent).toEqual({ ok: true });
  });
});

test('a legacy question is one outcome, whatever comes back, and leaves nothing behind', async () => {
  const { client, clock, runtime } = await raw();
  await client.initialize({ elicitation: {} });
  client.send({ id: 1, method: 'tools/call', params: { name: 'files:write', arguments: CALL } });
  const question = await client.take((message) => message.method === 'elicitation/create');
  expect(question.params).toMatchObject({ mode: 'form' });
  client.send({ id: question.id, result: { action: 'accept', content: { decision: 7 } } });
  expect((await client.answer(1)).result).toMatchObject({ isError: true });
  expect(runtime.deliveries.map(({ delivery }) => delivery)).toMatchObject([{ why: 'malformed' }]);
  expect(client.lines.filter((line) => line.includes('elicitation/create'))).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('the shim of the SDK is off: an input_required that reached a legacy connection would fail loudly', async () => {
  const ask = inputRequired({
    inputRequests: { q: inputRequired.elicit({ message: 'q', requestedSchema: APPROVAL_FORM }) },
  });
  const runtime = new FakeRuntime();
  const clock = createFakeClock();
  const parts = {
    runtime,
    caller: CALLER,
    options: { tools: 'gateway', toolNames: 'auto', version: '1' },
    clock,
    ids: randomIds,
    log: () => undefined,
  } as const;
  const pipes = openPipes();
  const server = createMcpServer(
    {
      ...parts,
      states: createRequestStates({ current: KEY }, CALLER, clock),
      table: createToolTable(runtime, CALLER, 'gateway'),
      reads: new ReadTable(runtime, CALLER, 'gateway'),
      gate: { governed: async () => ({ kind: 'ask', result: ask }), close: async () => undefined },
      inFlight: new Set(),
    },
    'legacy',
  );
  const guard = new LineGuard({ maxBytes: 10_000, maxDepth: 64 });
  await server.connect(
    new StdioPipes({ stdin: pipes.toServer, stdout: pipes.fromServer }, guard, () => undefined),
  );
  const client = new RawClient(pipes);
  await client.initialize({ elicitation: {} });
  const answer = await client.request(1, 'tools/call', { name: 'files:write', arguments: CALL });
  expect(answer.error?.code).toBe(-32603);
  expect(client.lines).toEqual([]);
  await server.close();
});
