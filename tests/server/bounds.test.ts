import { describe, expect, test } from 'vitest';
import { deferred, raw, settled } from './harness.ts';
import { CLIENT_KINDS } from './clients.ts';
import { connect } from './harness.ts';
import { FakeRuntime } from './fake-runtime.ts';

type Raw = Awaited<ReturnType<typeof raw>>['client'];

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const call = (id: number, args: string): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"files:read","arguments":${args}}}\n`;

async function alive(client: Raw): Promise<void> {
  const answer = await client.request(`alive-${client.lines.length}`, 'tools/list');
  expect(answer.result).toHaveProperty('tools');
}

describe('what comes in', () => {
  test('a line too long is refused without an id, once, and the connection lives', async () => {
    const { client, runtime } = await raw();
    await client.initialize();
    const piece = 'x'.repeat(40_000);
    client.write(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${piece}`);
    client.write(piece);
    expect((await client.answer(null)).error?.code).toBe(-32600);
    client.write(`${piece}"}}\n`);
    await alive(client);
    expect(client.lines).toEqual([]);
    expect(runtime.effects).toEqual([]);
  });

  test.each([
    ['nesting', (id: number) => call(id, `{"a":${nested(70)}}`), -32600],
    ['a duplicate key', (id: number) => call(id, '{"path":"/a","path":"/b"}'), -32600],
    ['an escaped duplicate key', (id: number) => call(id, '{"path":"/a","\\u0070ath":"/b"}'), -32600],
    ['a prototype key', (id: number) => call(id, '{"__proto__":{"admin":true}}'), -32600],
    ['an escaped prototype key', (id: number) => call(id, '{"\\u005f_proto__":{"admin":true}}'), -32600],
    ['two ids of an argument', (id: number) => call(id, '{"id":1,"id":2}'), -32600],
    ['a message without a version', (id: number) => `{"id":${id},"method":"tools/list"}\n`, -32600],
  ])('%s is refused under its id', async (_name, line, code) => {
    const { client, runtime } = await raw();
    await client.initialize();
    client.write(line(5));
    expect((await client.answer(5)).error?.code).toBe(code);
    await alive(client);
    expect(runtime.effects).toEqual([]);
  });

  test.each([
    ['garbage', 'hello\n', -32700],
    ['cut JSON', '{"jsonrpc":"2.0",\n', -32700],
    ['what is not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]), -32700],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', -32600],
    ['a number', '7\n', -32600],
    ['two ids', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}\n', -32600],
    [
      'two ids with another doubled key before',
      '{"id":1,"a":1,"a":2,\t"i\\u0064":2,"method":"ping"}\n',
      -32600,
    ],
    [
      "a bad response, whose id is ours and not the client's",
      '{"jsonrpc":"2.0","id":0,"result":{"a":1,"a":2}}\n',
      -32600,
    ],
  ])('%s is refused without an id', async (_name, line, code) => {
    const { client } = await raw();
    await client.initialize();
    client.write(line);
    expect((await client.answer(null)).error?.code).toBe(code);
    await alive(client);
  });

  test('a long array beside an escaped letter is a call like any other', async () => {
    const runtime = new FakeRuntime();
    runtime.config.runtime.maxLineBytes = 1_000_000;
    const { client } = await raw({ runtime });
    await client.initialize();
    client.write(call(6, `{"path":"caf\\u00e9","rows":[${'0,'.repeat(300_000)}0]}`));
    expect((await client.answer(6)).result).toMatchObject({ structuredContent: { ok: true } });
    expect(runtime.effects).toHaveLength(1);
  });

  test('a line may come in any pieces, with a carriage return, and empty ones are nothing', async () => {
    const { client } = await raw();
    await client.initialize();
    const line = Buffer.from(`\r\n\n${call(3, '{"path":"ä€𝄞"}').trim()}\r\n`);
    for (const byte of line) client.write(Buffer.from([byte]));
    expect((await client.answer(3)).result).toMatchObject({ structuredContent: { ok: true } });
    expect(client.lines).toEqual([]);
  });

  test('64 levels pass', async () => {
    const { client, runtime } = await raw();
    await client.initialize();
    client.write(call(4, `{"a":${nested(61)}}`));
    expect((await client.answer(4)).result).toMatchObject({ structuredContent: { ok: true } });
    expect(runtime.effects).toHaveLength(1);
  });

  test('calls beyond the bound are refused at once, as something to retry, and counted down again', async () => {
    const { client, runtime } = await raw();
    await client.initialize();
    const hold = deferred();
    runtime.during = () => hold.promise;
    for (let id = 1; id <= 9; id++) client.write(call(id, '{}'));
    const refused = await client.answer(9);
    expect(refused.result).toMatchObject({
      isError: true,
      structuredContent: { error: { code: 'TOO_BUSY', retryable: true, details: { in_flight: 8, most: 8 } } },
    });
    await alive(client);
    hold.open();
    for (let id = 1; id <= 8; id++) expect((await client.answer(id)).result).not.toHaveProperty('isError');
    client.write(call(10, '{}'));
    expect((await client.answer(10)).result).not.toHaveProperty('isError');
  });

  test('only JSON-RPC goes out', async () => {
    const { client } = await raw();
    await client.initialize();
    client.write('garbage\n');
    client.write(call(1, '{}'));
    await client.answer(1);
    client.lines.forEach((line) => expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0' }));
  });
});

describe('the end', () => {
  test('end of input answers what is short, aborts the calls, waits for them and ends', async () => {
    const { client, runtime, server } = await raw();
    await client.initialize();
    const started = deferred();
    const finishing = deferred();
    let aborted = false;
    runtime.during = async (io) => {
      io.signal.addEventListener('abort', () => {
        aborted = true;
      });
      started.open();
      await finishing.promise;
    };
    client.write(call(1, '{}'));
    await started.promise;
    const reading = deferred();
    runtime.getHealth = async () => {
      await reading.promise;
      return runtime.health;
    };
    client.send({ id: 2, method: 'resources/read', params: { uri: 'agent://health' } });
    client.end();
    await settled();
    reading.open();
    expect((await client.answer(2)).result).toHaveProperty('contents');
    await settled();
    expect(aborted).toBe(true);
    let done = false;
    void server.done.then(() => {
      done = true;
    });
    await settled();
    expect(done).toBe(false);
    finishing.open();
    await server.done;
    expect(runtime.listeners).toBe(0);
  });

  test('a call that does not end is left after its grace', async () => {
    const { client, runtime, server, clock } = await raw();
    await client.initialize();
    const started = deferred();
    runtime.during = async () => {
      started.open();
      await new Promise(() => undefined);
    };
    client.write(call(1, '{}'));
    await started.promise;
    client.end();
    await settled();
    clock.advance(2000);
    await server.done;
    expect(clock.pending).toBe(0);
  });

  test('a reader that goes away ends it too', async () => {
    const { pipes, server, client } = await raw();
    await client.initialize();
    pipes.fromServer.destroy(Object.assign(new TypeError('EPIPE'), { code: 'EPIPE' }));
    await server.done;
  });

  test('it can be closed from here', async () => {
    const { client, server, runtime } = await raw();
    await client.initialize();
    await server.close();
    expect(runtime.listeners).toBe(0);
  });

  test('a client may try the modern era and go on with the old one', async () => {
    const { client, runtime } = await raw();
    await client.modern(1, 'server/discover');
    expect((await client.initialize()).result).toMatchObject({ protocolVersion: '2025-11-25' });
    await alive(client);
    expect(runtime.listeners).toBe(1);
  });
});

describe.each(CLIENT_KINDS)('%s', (kind) => {
  test('a cancelled call is aborted below', async () => {
    const { client, runtime } = await connect(kind);
    const started = deferred();
    const aborted = deferred();
    runtime.during = async (io) => {
      io.signal.addEventListener('abort', () => aborted.open());
      started.open();
      await aborted.promise;
    };
    const stop = new AbortController();
    const calling = client.call('files:read', {}, { signal: stop.signal });
    await started.promise;
    stop.abort('enough');
    await expect(calling).rejects.toThrow();
    await aborted.promise;
  });
});
