import { describe, expect, test } from 'vitest';
import Ajv from 'ajv';
import { RuntimeError } from '../../src/base/errors.ts';
import { verifies } from '../e2e/verifies.ts';
import { CLIENT_KINDS } from './clients.ts';
import { FakeRuntime, governedTool, TURN } from './fake-runtime.ts';
import { connect, OPERATOR, raw, serve } from './harness.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];
const texts = (content: unknown): string =>
  (content as { type: string; text?: string }[]).map((block) => block.text ?? '').join('\n');

describe.each(CLIENT_KINDS)('%s', (kind) => {
  test('lists in fixed order with schemas, and answers with structured content and the same as text', async () => {
    const { client } = await connect(kind, { caller: OPERATOR });
    const { tools, nextCursor } = await client.list();
    expect(tools.map((tool) => tool.name)).toEqual([
      'agent:execute-turn',
      'agent:call-tool',
      'agent:start-session',
      'agent:resume-session',
      'agent:start-workflow',
      'agent:resume-workflow',
      'agent:cancel',
      'agent:list-requests',
      'agent:list-sessions',
      'agent:list-approvals',
      'agent:list-capabilities',
      'agent:list-capability-sessions',
      'agent:inspect',
      'agent:get-health',
      'agent:explain-policy',
      'files:read',
      'files:write',
    ]);
    expect(nextCursor).toBeUndefined();
    expect(tools[0]?.inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(client.instructions()).toContain('approval_required');

    const turn = await client.call('agent:execute-turn', { messages: MESSAGES });
    expect(turn.structuredContent).toEqual(TURN);
    expect(texts(turn.content)).toContain('Hello.');
    expect(texts(turn.content)).toContain(JSON.stringify(TURN));

    const page = await client.call('agent:list-requests', { limit: 3, filter: { status: 'done' } });
    expect(page.structuredContent).toEqual({
      items: [{ id: 'run_1', asked: { limit: 3, filter: { status: 'done' } } }],
      next_cursor: 'more',
    });
    const explained = await client.call('agent:explain-policy', { tool: 'files_read', arguments: { a: 1 } });
    expect(explained.structuredContent).toEqual({ decision: 'allow', tool: 'files:read', args: { a: 1 } });
    const found = await client.call('agent:inspect', { kind: 'run', id: 'run_1' });
    expect(found.structuredContent).toMatchObject({ kind: 'run', id: 'run_1' });
  });

  test('both spellings run the same tool', async () => {
    const { client, runtime } = await connect(kind);
    for (const name of ['files:read', 'files_read']) {
      const result = await client.call(name, { path: '/a' });
      expect(result.isError ?? false).toBe(false);
      expect(result.structuredContent).toEqual({ ok: true });
      expect(result._meta?.['agent-runtime/call']).toMatchObject({ status: 'done', receipt_ids: ['rcp_1'] });
    }
    expect(runtime.effects.map(({ tool }) => tool)).toEqual(['files:read', 'files:read']);
    expect((await client.call('agent_get_health')).structuredContent).toMatchObject({ status: 'ok' });
  });

  test('a wrong argument is a tool result that names the field; an unknown tool is a protocol error', async () => {
    const { client } = await connect(kind);
    const wrong = await client.call('agent:execute-turn', { messages: [{ role: 'king', content: '' }] });
    expect(wrong.isError).toBe(true);
    expect(wrong.structuredContent).toMatchObject({
      error: { code: 'INVALID_INPUT', retryable: false, details: { field: '/messages/0/role' } },
    });
    const extra = await client.call('agent:get-health', { deep: { a: 1 } });
    expect(extra.structuredContent).toMatchObject({
      error: { code: 'INVALID_INPUT', details: { field: '/deep' } },
    });
    await expect(client.call('nobody:knows', {})).rejects.toMatchObject({ code: -32602 });
  });

  test('a failure is answered with code, sentence and remedy, and never with a stack or foreign text', async () => {
    const { client, runtime, logged } = await connect(kind);
    await client.list();
    runtime.fault = new RuntimeError('STORE_UNAVAILABLE');
    const ours = await client.call('agent:call-tool', { session_id: 'ses_1', tool_call_id: 'call_x' });
    expect(ours.isError).toBe(true);
    expect(ours.structuredContent).toMatchObject({ error: { code: 'STORE_UNAVAILABLE', retryable: true } });
    expect(texts(ours.content)).toContain('Free disk space');
    runtime.fault = new RuntimeError('NOT_FOUND', 'No such request: call_x');
    const absent = await client.call('agent:call-tool', { session_id: 'ses_1', tool_call_id: 'call_x' });
    expect(texts(absent.content)).toContain('NOT_FOUND: No such request: call_x. Check the path');
    runtime.fault = new TypeError('secret /home/me/file.ts');
    const theirs = await client.call('agent:execute-turn', { messages: MESSAGES });
    expect(theirs.structuredContent).toMatchObject({ error: { code: 'INTERNAL' } });
    expect(JSON.stringify(theirs)).not.toMatch(/secret|at .*\.ts/);
    expect(logged).toContainEqual(expect.objectContaining({ level: 'error' }));
  });

  test('a failed turn keeps its envelope and ids', async () => {
    const { client, runtime } = await connect(kind);
    await client.list();
    runtime.turn = () => ({
      error: new RuntimeError('PROVIDER_RATE_LIMITED', undefined, { retry_after_ms: 10 }).view(),
      run_id: 'run_9',
    });
    const failed = await client.call('agent:execute-turn', { messages: MESSAGES });
    expect(failed.isError).toBe(true);
    expect(failed.structuredContent).toMatchObject({
      error: { code: 'PROVIDER_RATE_LIMITED', retryable: true, details: { retry_after_ms: 10 } },
      run_id: 'run_9',
    });
  });

  test('a tool with an output schema of its own can still be refused', async () => {
    const runtime = new FakeRuntime();
    runtime.tools = [
      governedTool('files:write', {
        approval_required: true,
        outputSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
      }),
    ];
    const { client } = await connect(kind, { runtime });
    await client.list();
    const waiting = await client.call('files:write', { path: '/a' });
    expect(waiting.isError).toBe(true);
    expect(waiting._meta?.['agent-runtime/call']).toMatchObject({ status: 'approval_required' });
    expect(texts(waiting.content)).toContain('agent-runtime approvals resolve apr_1');
    runtime.approvals[0]!.state = 'approved';
    expect((await client.call('files:write', { path: '/a' })).structuredContent).toEqual({ ok: true });
  });

  test('what a tool says to hosts is kept, but does not speak for us', async () => {
    const runtime = new FakeRuntime();
    const page = { ui: { resourceUri: 'ui://files/page' } };
    runtime.tools = [
      governedTool('files:read', {
        _meta: { ...page, 'agent-runtime/tool': { id: 'other', approval_required: true } },
      }),
    ];
    const { client } = await connect(kind, { runtime });
    const listed = (await client.list()).tools.find(({ name }) => name === 'files:read');
    expect(listed?.['_meta']).toMatchObject({
      ...page,
      'agent-runtime/tool': { id: 'files:read', approval_required: false },
    });
  });

  test('resources and prompts are listed and read', async () => {
    const { client } = await connect(kind);
    expect(await client.resources()).toEqual([
      'agent://health',
      'agent://approvals/pending',
      'agent://runs/{id}',
      'agent://sessions/{id}',
      'agent://approvals/{id}',
      'agent://capability-sessions/{id}',
    ]);
    expect(JSON.parse(await client.read('agent://health'))).toMatchObject({ status: 'ok' });
    expect(JSON.parse(await client.read('agent://approvals/pending'))).toEqual({ items: [] });
    expect(JSON.parse(await client.read('agent://runs/run%2F1'))).toMatchObject({ kind: 'run', id: 'run/1' });
    for (const uri of ['agent://runs/foreign', 'agent://nothing', 'agent://runs/%ff']) {
      await expect(client.read(uri)).rejects.toMatchObject({ code: -32602 });
    }
    expect(await client.prompts()).toEqual(['review-approvals', 'incident']);
    expect(await client.prompt('review-approvals')).toContain('agent://approvals/pending');
    expect(await client.prompt('incident', { run_id: 'run_7' })).toContain('"run_7"');
    await expect(client.prompt('other')).rejects.toMatchObject({ code: -32602 });
  });

  test('the list is announced when it changes, and read from the runtime only then', async () => {
    let changed: () => void = () => undefined;
    const announced = new Promise<void>((resolve) => {
      changed = resolve;
    });
    const { client, runtime } = await connect(kind, { onToolsChanged: () => changed() });
    await client.list();
    await client.call('files:read', {});
    await client.call('files:read', {});
    expect(runtime.exposedReads).toBe(1);
    runtime.changeTools([governedTool('mail:send')]);
    await announced;
    await expect(client.call('files:read', {})).rejects.toMatchObject({ code: -32602 });
    await client.call('mail:send', {});
    expect(runtime.exposedReads).toBe(2);
  });

  test('an idempotency key travels in _meta', async () => {
    const { client, runtime } = await connect(kind);
    await client.call('files:read', {}, { meta: { 'agent-runtime/idempotency-key': 'k1' } });
    await client.call('files:read', {});
    expect(runtime.keys).toEqual(['k1', undefined]);
  });

  verifies({ partial: ['LY-01'] }, 'offers one tool that turns, and none of its parts', async () => {
    const { client } = await connect(kind, { caller: OPERATOR, tools: 'all' });
    const names = (await client.list()).tools.map((tool) => tool.name);
    expect(names.filter((name) => /turn|provider|adapter|policy-factory|augment/.test(name))).toEqual([
      'agent:execute-turn',
    ]);
    for (const hidden of ['agent:provider-call', 'agent:policy-factory', 'agent:resolve-approval']) {
      await expect(client.call(hidden, {})).rejects.toMatchObject({ code: -32602 });
    }
  });
});

describe('who sees what', () => {
  const listed = async (setup: Parameters<typeof connect>[1]): Promise<string[]> => {
    const { client } = await connect('v2 legacy', setup);
    return (await client.list()).tools.map((tool) => tool.name);
  };

  test('each set has its tools', async () => {
    expect(await listed({ tools: 'turn' })).toEqual([
      'agent:execute-turn',
      'agent:call-tool',
      'agent:start-session',
      'agent:resume-session',
      'agent:start-workflow',
      'agent:resume-workflow',
      'agent:cancel',
      'agent:get-health',
    ]);
    expect(await listed({ tools: 'operate', caller: OPERATOR })).toEqual([
      'agent:cancel',
      'agent:list-requests',
      'agent:list-sessions',
      'agent:list-approvals',
      'agent:list-capabilities',
      'agent:list-capability-sessions',
      'agent:inspect',
      'agent:get-health',
      'agent:explain-policy',
    ]);
    expect(await listed({ tools: 'gateway', caller: OPERATOR })).toEqual([
      'agent:inspect',
      'files:read',
      'files:write',
    ]);
  });

  test('operator tools are neither listed nor accepted for others', async () => {
    expect(await listed({ tools: 'all' })).toEqual([
      'agent:execute-turn',
      'agent:call-tool',
      'agent:start-session',
      'agent:resume-session',
      'agent:start-workflow',
      'agent:resume-workflow',
      'agent:cancel',
      'agent:get-health',
      'files:read',
      'files:write',
    ]);
    const { client } = await connect('v2 modern', { tools: 'all' });
    for (const name of ['agent:list-requests', 'agent_inspect', 'agent:explain-policy']) {
      await expect(client.call(name, {})).rejects.toMatchObject({ code: -32602 });
    }
  });

  test.each([
    ['claude-code', 'agent_execute_turn'],
    ['claude-ai', 'agent_execute_turn'],
    ['Claude Desktop', 'agent_execute_turn'],
    ['codex-mcp-client', 'agent_execute_turn'],
    ['GitHub Copilot CLI', 'agent_execute_turn'],
    ['mcp-inspector', 'agent:execute-turn'],
  ])('auto lists for %s the name %s', async (name, expected) => {
    for (const kind of CLIENT_KINDS) {
      const { client } = await connect(kind, { name, tools: 'turn' });
      expect((await client.list()).tools[0]?.name).toBe(expected);
      expect((await client.call('agent:get-health')).isError ?? false).toBe(false);
      expect((await client.call('agent_get_health')).isError ?? false).toBe(false);
    }
  });

  test('the mode decides for every client', async () => {
    expect((await listed({ tools: 'turn', toolNames: 'portable' }))[0]).toBe('agent_execute_turn');
    expect((await listed({ tools: 'turn', toolNames: 'canonical', name: 'claude-code' }))[0]).toBe(
      'agent:execute-turn',
    );
  });

  test('a list of 230 comes in pages of a hundred, without a gap', async () => {
    const runtime = new FakeRuntime();
    runtime.tools = Array.from({ length: 230 }, (_, at) => governedTool(`many:tool-${at}`));
    const { client } = await raw({ runtime, tools: 'gateway' });
    await client.initialize();
    const names: string[] = [];
    const sizes: number[] = [];
    let cursor: unknown;
    do {
      const page = await client.request(
        `l${names.length}`,
        'tools/list',
        cursor === undefined ? {} : { cursor },
      );
      const tools = page.result?.tools as { name: string }[];
      names.push(...tools.map(({ name }) => name));
      sizes.push(tools.length);
      cursor = page.result?.nextCursor;
    } while (cursor !== undefined);
    expect(sizes).toEqual([100, 100, 30]);
    expect(names).toEqual(runtime.tools.map(({ id }) => id));
    expect((await client.request('bad', 'tools/list', { cursor: 'x' })).error?.code).toBe(-32602);
  });

  test('two tools that would share a name stop the start', async () => {
    const runtime = new FakeRuntime();
    runtime.tools = [governedTool('a_b:c'), governedTool('a:b_c')];
    await expect(serve({ runtime })).rejects.toMatchObject({ code: 'CONFIGURATION_ERROR' });
  });

  test('cache hints are for the modern era only', async () => {
    const modern = await raw();
    const listedThere = await modern.client.modern(1, 'tools/list');
    expect(listedThere.result).toMatchObject({ ttlMs: 10_000, cacheScope: 'private' });
    expect((await modern.client.modern(2, 'server/discover')).result).toMatchObject({
      supportedVersions: ['2026-07-28'],
    });
    const legacy = await raw();
    const hello = await legacy.client.initialize();
    expect(hello.result).toMatchObject({ serverInfo: { name: 'agent-runtime', version: '1.2.3' } });
    expect((await legacy.client.request(1, 'tools/list')).result).not.toHaveProperty('ttlMs');
  });

  test('every output schema accepts its success and an error, and nothing else', async () => {
    const { client } = await connect('v2 modern', { caller: OPERATOR });
    const { tools } = await client.list();
    const ajv = new Ajv.default({ strict: false });
    const error = { error: new RuntimeError('INTERNAL').view() };
    for (const tool of tools.filter(({ name }) => name.startsWith('agent:'))) {
      const validate = ajv.compile(tool.outputSchema ?? {});
      expect(validate(error), tool.name).toBe(true);
      if (tool.name !== 'agent:explain-policy') expect(validate({ other: 1 }), tool.name).toBe(false);
    }
  });
});
