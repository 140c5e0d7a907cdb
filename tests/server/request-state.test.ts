import { describe, expect, test } from 'vitest';
import type { RawMessage } from './clients.ts';
import { FakeRuntime } from './fake-runtime.ts';
import { KEY, raw, settled } from './harness.ts';

const CALL = { path: '/etc/hosts' };
const approve = { action: 'accept', content: { decision: 'approve' } };

describe('the answer that a modern client brings back', () => {
  interface Asked {
    state: string;
    message: RawMessage;
  }
  type Raw = Awaited<ReturnType<typeof raw>>['client'];
  const ask = async (client: Raw, id: string, args: object = CALL): Promise<Asked> => {
    const message = await client.modern(id, 'tools/call', { name: 'files:write', arguments: args });
    expect(message.result?.resultType).toBe('input_required');
    return { message, state: message.result?.requestState as string };
  };
  const bring = (
    client: Raw,
    id: string,
    requestState: string,
    more: { args?: object; response?: unknown; name?: string } = {},
  ): Promise<RawMessage> =>
    client.modern(id, 'tools/call', {
      name: more.name ?? 'files:write',
      arguments: more.args ?? CALL,
      requestState,
      inputResponses: { approval: 'response' in more ? more.response : approve },
    });

  test('does not count for other arguments or another tool, and can still be used for its own', async () => {
    const { client, runtime } = await raw();
    const { state } = await ask(client, 'a');
    for (const more of [{ args: { path: '/etc/shadow' } }, { name: 'files:read' }]) {
      const other = await bring(client, `b${JSON.stringify(more)}`, state, more);
      expect(other.result).toMatchObject({
        isError: true,
        structuredContent: { error: { code: 'INVALID_INPUT' } },
      });
    }
    expect(runtime.effects).toEqual([]);
    expect(runtime.deliveries).toEqual([]);
    expect((await bring(client, 'c', state)).result).toMatchObject({ structuredContent: { ok: true } });
    expect(runtime.effects).toHaveLength(1);
  });

  test('counts once', async () => {
    const { client, runtime } = await raw();
    const { state } = await ask(client, 'a');
    await bring(client, 'b', state);
    const again = await bring(client, 'c', state);
    expect(again.result).toMatchObject({ structuredContent: { error: { code: 'APPROVAL_NOT_PENDING' } } });
    expect(runtime.effects).toHaveLength(1);
    expect(runtime.deliveries).toHaveLength(1);
  });

  test("is refused when it is not ours, or another principal's", async () => {
    const theirs = await raw({ stateKeys: { current: new Uint8Array(32).fill(9) } });
    const { state } = await ask(theirs.client, 'a');
    const { client, runtime } = await raw();
    await ask(client, 'a');
    for (const [at, forged] of [state, 'v1.e30.AA', 'x', 7].entries()) {
      const answer = await bring(client, `f${at}`, forged as string);
      expect(answer.error?.code).toBe(-32602);
    }
    const elsewhere = await raw({
      caller: {
        tenant: 'local',
        principal: 'os:2',
        actor: 'stdio:2',
        roles: [],
        scopes: [],
        lane: 'default',
      },
      runtime,
    });
    const mine = await ask(client, 'b', { path: '/b' });
    const answer = await bring(elsewhere.client, 'c', mine.state, { args: { path: '/b' } });
    expect(answer.error?.code).toBe(-32602);
    expect(runtime.effects).toEqual([]);
    expect(elsewhere.logged).toContainEqual(expect.objectContaining({ level: 'warn', message: 'protocol' }));
  });

  test('is accepted under the previous key after a rotation', async () => {
    const runtime = new FakeRuntime();
    const before = await raw({ runtime });
    const { state } = await ask(before.client, 'a');
    const after = await raw({
      runtime,
      stateKeys: { current: new Uint8Array(32).fill(1), previous: KEY },
    });
    expect((await bring(after.client, 'b', state)).result).toMatchObject({ structuredContent: { ok: true } });
  });

  test('does not count when what would run is no longer what was shown', async () => {
    const { client, runtime } = await raw();
    const { state } = await ask(client, 'a');
    runtime.approvals[0]!.digest = 'sha256:other';
    expect((await bring(client, 'b', state)).result).toMatchObject({
      structuredContent: { error: { code: 'CONFLICT' } },
    });
    expect(runtime.effects).toEqual([]);
    expect(runtime.deliveries).toEqual([]);
  });

  test.each([
    ['nothing', undefined],
    ['another kind of answer', { roots: [] }],
    ['a wrapped answer', { method: 'elicitation/create', result: approve }],
  ])('%s is no answer', async (_name, response) => {
    const { client, runtime } = await raw();
    const { state } = await ask(client, 'a');
    const back = await bring(client, 'b', state, { response });
    expect(back.result).toMatchObject({ isError: true });
    expect(runtime.deliveries.map(({ delivery }) => delivery)).toMatchObject([{ why: 'malformed' }]);
    expect(runtime.effects).toEqual([]);
  });

  test('that never comes is recorded as silence, and a late one still counts', async () => {
    const { client, runtime, clock } = await raw();
    const { state } = await ask(client, 'a');
    clock.advance(600_000);
    await settled();
    expect(runtime.deliveries.map(({ delivery }) => delivery)).toEqual([
      { kind: 'timed_out', latencyMs: 600_000 },
    ]);
    expect((await bring(client, 'b', state)).result).toMatchObject({ structuredContent: { ok: true } });
  });

  test('that is still out when the client leaves is recorded as silence', async () => {
    const { client, runtime, server } = await raw();
    await ask(client, 'a');
    client.end();
    await server.done;
    expect(runtime.deliveries.map(({ delivery }) => delivery.kind)).toEqual(['timed_out']);
  });

  test('a response without a state is no answer: the question stands', async () => {
    const { client, runtime } = await raw();
    const answer = await client.modern('a', 'tools/call', {
      name: 'files:write',
      arguments: CALL,
      inputResponses: { approval: approve },
    });
    expect(answer.result?.resultType).toBe('input_required');
    expect(runtime.effects).toEqual([]);
  });

  test('the state names nothing secret', async () => {
    const { client } = await raw();
    const { state } = await ask(client, 'a');
    const payload = JSON.parse(Buffer.from(state.split('.')[1]!, 'base64url').toString()) as { p: object };
    expect(Object.keys(payload.p)).toEqual([
      'approval_id',
      'action_digest',
      'call_digest',
      'tool_call_id',
      'nonce',
      'shown_at',
    ]);
    expect(state).not.toContain('os:1000');
  });
});
