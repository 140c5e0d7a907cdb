// Resources, templates, prompts and completion of a governed server through ours: listed as they are, read through the door.
import { describe, expect, test } from 'vitest';
import type { RuntimeHandle } from '../../../src/runtime/options.ts';
import { CALLER, OTHER } from '../../runtime/rig.ts';
import { CLIENT_KINDS, connectClient, RawClient } from '../clients.ts';
import { connectTo, READS, readsRuntime } from './rig.ts';

async function raw(runtime: RuntimeHandle): Promise<RawClient> {
  const client = new RawClient(await connectTo(runtime));
  await client.initialize();
  return client;
}

/** Of every page. */
async function listed(client: RawClient, method: string, key: string): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  let cursor: unknown;
  do {
    const params = cursor === undefined ? {} : { cursor };
    const { result } = await client.request(`${method} ${String(cursor)}`, method, params);
    all.push(...(result?.[key] as Record<string, unknown>[]));
    cursor = result?.['nextCursor'];
  } while (cursor !== undefined);
  return all;
}

async function recorded(runtime: RuntimeHandle): Promise<string[]> {
  const { items } = await runtime.listRequests(CALLER, { limit: 200 });
  return items.map(({ tool, status }) => `${tool as string} ${status as string}`);
}

const kept = {
  title: 'A title',
  annotations: { audience: ['user'], priority: 0.5 },
  _meta: { 'x/y': { z: 1 } },
};
const icons = [{ src: 'data:image/png;base64,AA==', mimeType: 'image/png', sizes: ['1x1'] }];

for (const era of ['legacy', 'modern'] as const) {
  describe(`reads of a ${era} server`, () => {
    test('are listed page by page with every field that their server gave them, and none as a tool', async () => {
      const client = await raw(await readsRuntime({ era }));
      const resources = await listed(client, 'resources/list', 'resources');
      const theirs = resources.filter(({ uri }) => String(uri).startsWith('note:'));
      expect([theirs.length, new Set(theirs.map(({ uri }) => uri)).size]).toEqual([251, 251]);
      const full = {
        uri: 'note://full',
        name: 'full',
        description: 'All of it.',
        mimeType: 'text/markdown',
        size: 3,
      };
      expect(theirs[0]).toEqual({ ...full, icons, ...kept });
      const templates = await listed(client, 'resources/templates/list', 'resourceTemplates');
      expect(templates.find(({ name }) => name === 'row')).toEqual({
        ...{ uriTemplate: 'row://{table}/end', name: 'row', mimeType: 'text/csv', icons },
        ...kept,
      });
      const prompts = await listed(client, 'prompts/list', 'prompts');
      expect(prompts.at(-1)).toEqual({
        ...{ name: 'notes:greet', title: 'Greet', description: 'Greets.', icons, _meta: { a: 1 } },
        arguments: [{ name: 'who', required: true }],
      });
      const tools = (await listed(client, 'tools/list', 'tools')).map(({ name }) => String(name));
      expect(tools.filter((name) => name.startsWith('notes:'))).toEqual(['notes:poke']);
    });

    test('are answered whole, and each is on record', async () => {
      const runtime = await readsRuntime({ era });
      const client = await raw(runtime);
      const read = await client.request(1, 'resources/read', { uri: 'note://7' });
      expect(read.result).toEqual({
        contents: [
          { uri: 'note://7', mimeType: 'text/plain', text: 'content of note://7', _meta: { 'x/y': 1 } },
          { uri: 'note://7#b', mimeType: 'image/png', blob: 'AAEC' },
        ],
        _meta: {
          'x/own': true,
          'agent-runtime/call': expect.objectContaining({ status: 'done' }) as unknown,
        },
      });
      const prompt = await client.request(2, 'prompts/get', { name: 'greet', arguments: { who: 'Ada' } });
      expect(prompt.result).toMatchObject({
        description: 'A greeting',
        messages: [
          { role: 'user', content: { type: 'text', text: 'hello Ada', annotations: { priority: 1 } } },
        ],
      });
      const argument = { name: 'who', value: 'A' };
      for (const [ref, says] of [
        [{ type: 'ref/prompt', name: 'notes:greet' }, 'greet|A'],
        [{ type: 'ref/resource', uri: 'row://{table}/end' }, 'row://{table}/end|A'],
      ] as const) {
        const done = await client.request(says, 'completion/complete', { ref, argument });
        expect(done.result).toMatchObject({ completion: { values: [says], total: 1, hasMore: false } });
      }
      expect(await recorded(runtime)).toEqual([
        'notes:completion/complete done',
        'notes:completion/complete done',
        'notes:prompts/get done',
        'notes:resources/read done',
      ]);
    });

    test('changed lists and resources are told, each resource to who asked for it alone', async () => {
      const runtime = await readsRuntime({ era });
      const [client, foreign] = [await raw(runtime), new RawClient(await connectTo(runtime, OTHER))];
      await foreign.initialize();
      await foreign.request('list', 'resources/list');
      expect((await client.request(1, 'resources/subscribe', { uri: 'note://full' })).result).toEqual({});
      expect(await listed(client, 'resources/list', 'resources')).toHaveLength(253);
      await client.request(2, 'tools/call', { name: 'notes:poke', arguments: {} });
      for (const what of ['resources/list_changed', 'prompts/list_changed']) {
        await client.take(({ method }) => method === `notifications/${what}`);
      }
      const told = await client.take(({ method }) => method === 'notifications/resources/updated');
      expect(told.params).toMatchObject({ uri: 'note://full' });
      expect(await listed(client, 'resources/list', 'resources')).toHaveLength(254);
      expect(client.lines.filter((line) => line.includes('note://1"'))).toEqual([]);

      await client.request(3, 'resources/unsubscribe', { uri: 'note://full' });
      await client.request(4, 'tools/call', { name: 'notes:poke', arguments: {} });
      await client.take(({ method }) => method === 'notifications/prompts/list_changed');
      const after = [...client.lines, ...foreign.lines];
      expect(after.filter((line) => line.includes('resources/updated'))).toEqual([]);
      expect(foreign.lines.filter((line) => line.includes('list_changed'))).toEqual([]);
    });
  });
}

describe('governed reads', () => {
  for (const kind of CLIENT_KINDS) {
    test(`are read and got by a ${kind} client`, async () => {
      const client = await connectClient(kind, await connectTo(await readsRuntime()), {});
      expect(await client.resources()).toContain('row://{table}/end');
      expect(await client.read('note://3')).toBe('content of note://3');
      expect(await client.prompts()).toContain('notes:greet');
      expect(await client.prompt('notes:greet', { who: 'Bo' })).toBe('hello Bo');
      await expect(client.read('note://gone')).rejects.toMatchObject({
        code: -32602,
        data: { uri: 'note://gone' },
      });
    });
  }

  test('that the catalog does not have are neither listed nor answered, whatever the server offers', async () => {
    const runtime = await readsRuntime({ reads: {} });
    const client = await raw(runtime);
    const hello = await listed(client, 'resources/list', 'resources');
    expect(hello.map(({ uri }) => uri)).toEqual(['agent://health', 'agent://approvals/pending']);
    expect((await listed(client, 'prompts/list', 'prompts')).map(({ name }) => name)).toEqual([
      'review-approvals',
      'incident',
    ]);
    expect((await client.request(1, 'resources/read', { uri: 'note://7' })).error?.code).toBe(-32602);
    expect((await client.request(2, 'prompts/get', { name: 'greet' })).error?.code).toBe(-32602);
    expect((await client.request(3, 'completion/complete', {})).error?.code).toBe(-32601);
    expect(await recorded(runtime)).toEqual([]);
  });

  test('that policy denies are listed for nobody; the others of the same server are', async () => {
    const runtime = await readsRuntime({ denied: ['notes:resources/read'] });
    const client = await raw(runtime);
    expect(await listed(client, 'resources/list', 'resources')).toHaveLength(2);
    expect((await listed(client, 'prompts/list', 'prompts')).at(-1)).toMatchObject({ name: 'notes:greet' });
    expect((await client.request(1, 'resources/read', { uri: 'note://7' })).error?.code).toBe(-32602);
    const { signal } = new AbortController();
    const args = { resource: 'note://7' };
    const answer = await runtime.callCapability(CALLER, { tool: 'notes:resources/read', args }, { signal });
    expect([answer.status, await recorded(runtime)]).toEqual(['denied', ['notes:resources/read denied']]);
  });

  test('that policy wants a person for are asked about, and answered once approved', async () => {
    const reads = Object.fromEntries(
      READS.map((method) => [method, { approval: { approver: 'principal' } }]),
    );
    const runtime = await readsRuntime({ reads });
    const refused = await (await raw(runtime)).request(1, 'resources/read', { uri: 'note://7' });
    expect(refused.error).toMatchObject({ code: -32010, data: { status: 'approval_required' } });
    expect(await recorded(runtime)).toEqual(['notes:resources/read waiting_approval']);
    for (const kind of CLIENT_KINDS) {
      const asked: string[] = [];
      const elicit = async ({ message }: { message: string }) => {
        asked.push(message);
        return { action: 'accept' as const, content: { decision: 'approve' } };
      };
      const client = await connectClient(kind, await connectTo(runtime), { elicit });
      const uri = `note://${kind.length}`;
      expect(await client.read(uri).catch((error: unknown) => String(error))).toBe(`content of ${uri}`);
      expect(asked.join()).toContain('notes:resources/read');
    }
  });

  test('a resource that is a file or an address is judged as one, also when its name hides it', async () => {
    const runtime = await readsRuntime();
    const client = await raw(runtime);
    const read = async (uri: string): Promise<unknown> => {
      const { error, result } = await client.request(uri, 'resources/read', { uri });
      const { decision } = (error?.data ?? {}) as { decision?: { rule_id: string } };
      return result ?? decision?.rule_id ?? error?.code;
    };
    expect(await read('file:///etc/passwd')).toBe('sandbox_path');
    expect(await read('FILE:/etc/passwd')).toBe('sandbox_path');
    expect(await read('https://example.org/secret')).toBe('url_allowlist');
    expect(await read('/etc/passwd')).toBe(-32602);
    const direct = async (args: object): Promise<unknown> => {
      const signal = new AbortController().signal;
      const answer = await runtime.callCapability(CALLER, { tool: 'notes:resources/read', args }, { signal });
      return answer.error?.code ?? answer.status;
    };
    expect(await direct({ resource: 'file:///etc/passwd' })).toBe('INVALID_INPUT');
    expect(await direct({ resource: 'note://1', path: 'elsewhere' })).not.toBe('done');
    expect(await direct({ resource: 'note://1' })).toBe('done');
  });

  test('of two servers each is found by what it lists; a shared name is refused, a shared URI is the first one’s', async () => {
    const runtime = await readsRuntime({ servers: ['notes', 'more'] });
    const client = await raw(runtime);
    const prompts = (await listed(client, 'prompts/list', 'prompts')).map(({ name }) => name);
    expect(prompts.slice(2)).toEqual(['notes:greet', 'more:greet']);
    expect((await client.request(1, 'prompts/get', { name: 'greet' })).error?.code).toBe(-32602);
    expect((await client.request(2, 'prompts/get', { name: 'more:greet' })).result).toBeDefined();
    for (const uri of ['note://5', 'row://a/end']) await client.request(uri, 'resources/read', { uri });
    expect((await client.request(3, 'resources/read', { uri: 'other://5' })).error?.code).toBe(-32602);
    expect(await recorded(runtime)).toEqual([
      'notes:resources/read done',
      'notes:resources/read done',
      'more:prompts/get done',
    ]);
  });
});
