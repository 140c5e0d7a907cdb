// Every key of the `http` block has an effect; the table has one entry for each, or it does not compile.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { HttpSettings } from '../../src/config/types.ts';
import {
  ALICE,
  ALICE_TOKEN,
  ask,
  AUTH,
  BOB_TOKEN,
  head,
  initialize,
  modern,
  openSession,
  raw,
  request,
} from './rig.ts';
import { serve, until } from './rig.ts';
import { tokenEntry } from './token-entry.ts';
import type { Answer, RawSocket, Serving } from './rig.ts';

const HELLO = JSON.stringify(initialize());
const JSON_TYPE = 'Content-Type: application/json';
const LIST = request('tools/list');

async function answered(client: RawSocket): Promise<string> {
  return (await client.until('\r\n')).slice(9, 12);
}

/** A call that has begun and goes on until the test ends it. */
async function holdCall(at: Serving): Promise<{ answer: Promise<Answer>; end: () => void }> {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    at.runtime.during = () => {
      resolve();
      return over;
    };
  });
  const answer = ask(at, modern('tools/call', { name: 'files:read', arguments: {} }));
  await begun;
  return { answer, end };
}

/** A stream that stays open. */
async function openStream(at: Serving, sessionId: string): Promise<RawSocket> {
  const client = await raw(at.port);
  const lines = [AUTH, 'Accept: text/event-stream', `Mcp-Session-Id: ${sessionId}`];
  client.write(head(at.port, lines, 'GET /mcp HTTP/1.1'));
  await client.until('\r\n\r\n');
  return client;
}

async function isLeftWithoutAnswer(at: Serving): Promise<void> {
  const first = await raw(at.port);
  const second = await raw(at.port);
  second.write(head(at.port, [AUTH], 'GET / HTTP/1.1'));
  expect(await second.rest).toBe('');
  first.write(head(at.port, [AUTH], 'GET / HTTP/1.1'));
  expect(await answered(first)).toBe('404');
}

const EFFECTS: Record<keyof HttpSettings, () => Promise<void>> = {
  async allowedHosts() {
    const at = await serve({ settings: { allowedHosts: ['mcp.internal:8080'] } });
    const client = await raw(at.port);
    client.write(`GET / HTTP/1.1\r\nHost: MCP.internal:8080\r\n\r\n`);
    expect(await answered(client)).toBe('404');
  },

  async allowedOrigins() {
    const at = await serve({ settings: { allowedOrigins: ['https://console.example'] } });
    const headers = { origin: 'https://console.example' };
    expect((await ask(at, { headers, body: initialize() })).status).toBe(200);
    const other = { origin: 'https://console.example.evil.test' };
    expect((await ask(at, { headers: other, body: initialize() })).status).toBe(403);
  },

  async maxBodyBytes() {
    const at = await serve({ settings: { maxBodyBytes: 1024 } });
    const said = await raw(at.port);
    said.write(head(at.port, [AUTH, JSON_TYPE, 'Content-Length: 1025']));
    expect(await answered(said)).toBe('413');
    const chunked = await raw(at.port);
    chunked.write(head(at.port, [AUTH, JSON_TYPE, 'Transfer-Encoding: chunked']));
    for (let sent = 0; sent < 3; sent++) chunked.write(`200\r\n${'x'.repeat(512)}\r\n`);
    expect(await answered(chunked)).toBe('413');
    await chunked.rest;
  },

  async maxHeaders() {
    const at = await serve({ settings: { maxHeaders: 8 } });
    const odd = Array.from({ length: 7 }, (_, n) => `X-${n}: 1`);
    const enough = await raw(at.port);
    enough.write(head(at.port, odd, 'GET / HTTP/1.1'));
    expect(await answered(enough)).toBe('404');
    const many = await raw(at.port);
    many.write(head(at.port, [...odd, 'X-more: 1'], 'GET / HTTP/1.1'));
    expect(await answered(many)).toBe('431');
  },

  async maxHeaderBytes() {
    const at = await serve({ settings: { maxHeaderBytes: 2048 } });
    const client = await raw(at.port);
    client.write(head(at.port, [`X-long: ${'x'.repeat(3000)}`], 'GET / HTTP/1.1'));
    expect(await answered(client)).toBe('431');
  },

  async headerTimeoutMs() {
    const at = await serve({ settings: { headerTimeoutMs: 100 } });
    const silent = await raw(at.port);
    const slow = await raw(at.port);
    slow.write(`POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nX-slow: `);
    expect(await slow.rest).toContain(' 408 ');
    await silent.rest;
  },

  async bodyTimeoutMs() {
    const at = await serve({ settings: { bodyTimeoutMs: 5000 } });
    const client = await raw(at.port);
    client.write(`${head(at.port, [AUTH, JSON_TYPE, 'Content-Length: 100'])}{"jsonrpc"`);
    await until(() => at.server.counts.requests === 1);
    let came = '';
    void client.rest.then((text) => (came = text));
    await until(() => {
      at.clock.advance(1000);
      return came !== '';
    });
    expect(came.slice(9, 12)).toBe('408');
    expect(at.server.counts.requests).toBe(0);
  },

  async writeTimeoutMs() {
    const at = await serve({ settings: { writeTimeoutMs: 5000 } });
    const detail = 'x'.repeat(32 * 1024 * 1024);
    at.runtime.health = { status: 'ok', checks: [{ check: 'big', status: 'ok', detail }] };
    const { headers, body } = modern('resources/read', { uri: 'agent://health' });
    const text = JSON.stringify(body);
    const client = await raw(at.port);
    client.socket.pause();
    const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
    client.write(head(at.port, [AUTH, JSON_TYPE, ...lines, `Content-Length: ${text.length}`]) + text);
    await until(() => at.server.counts.requests === 1);
    await until(() => {
      at.clock.advance(1000);
      return at.server.counts.requests === 0;
    });
    client.socket.resume();
    expect((await client.rest).length).toBeLessThan(detail.length);
  },

  async idleTimeoutMs() {
    const at = await serve({ settings: { idleTimeoutMs: 100 } });
    const client = await raw(at.port);
    client.write(head(at.port, [], 'GET / HTTP/1.1'));
    expect(await client.rest).toContain('404');
  },

  async maxConnections() {
    await isLeftWithoutAnswer(await serve({ settings: { maxConnections: 1 } }));
  },

  async maxConnectionsPerAddress() {
    await isLeftWithoutAnswer(await serve({ settings: { maxConnectionsPerAddress: 1 } }));
  },

  async maxRequestsPerPrincipal() {
    const at = await serve({ settings: { maxRequestsPerPrincipal: 1 } });
    const { answer, end } = await holdCall(at);
    expect((await ask(at, modern('tools/list'))).status).toBe(429);
    expect((await ask(at, { ...modern('tools/list'), token: BOB_TOKEN })).status).toBe(200);
    end();
    expect((await answer).status).toBe(200);
    expect((await ask(at, modern('tools/list'))).status).toBe(200);
  },

  async requestsPerSecondPerPrincipal() {
    const at = await serve({ settings: { requestsPerSecondPerPrincipal: 1 } });
    const list = (token: string): Promise<Answer> => ask(at, { ...modern('tools/list'), token });
    expect([(await list(ALICE_TOKEN)).status, (await list(ALICE_TOKEN)).status]).toEqual([200, 200]);
    const third = await list(ALICE_TOKEN);
    expect([third.status, third.headers['retry-after']]).toEqual([429, '1']);
    expect((await list(BOB_TOKEN)).status).toBe(200);
    at.clock.advance(1000);
    expect((await list(ALICE_TOKEN)).status).toBe(200);
  },

  async requestsPerSecondPerAddress() {
    const at = await serve({ settings: { requestsPerSecondPerAddress: 1 } });
    const list = (token: string): Promise<Answer> => ask(at, { ...modern('tools/list'), token });
    expect([(await list(ALICE_TOKEN)).status, (await list(BOB_TOKEN)).status]).toEqual([200, 200]);
    expect((await list(BOB_TOKEN)).status).toBe(429);
  },

  async refusalsPerMinutePerAddress() {
    const at = await serve({ settings: { refusalsPerMinutePerAddress: 2 } });
    const guess = (): Promise<Answer> => ask(at, { token: 'guess-0123456789', body: LIST });
    expect([(await guess()).status, (await guess()).status]).toEqual([401, 401]);
    await expect(guess()).rejects.toThrow();
    expect((await ask(at, modern('tools/list'))).status).toBe(200);
  },

  async maxSessions() {
    const at = await serve({ settings: { maxSessions: 1 } });
    const first = await openSession(at);
    const other = await ask(at, { token: BOB_TOKEN, body: initialize() });
    expect([other.status, other.headers['retry-after']]).toEqual([429, '30']);
    expect((await ask(at, { sessionId: first, body: LIST })).status).toBe(200);
  },

  async maxSessionsPerPrincipal() {
    const at = await serve({ settings: { maxSessionsPerPrincipal: 2 } });
    const [first, second] = [await openSession(at), await openSession(at)];
    const bobs = await openSession(at, BOB_TOKEN);
    const stream = await openStream(at, first);
    const third = await openSession(at);
    // The one with an open stream is in use; the other gave way. Bob's is Bob's.
    expect((await ask(at, { sessionId: second, body: LIST })).status).toBe(404);
    expect((await ask(at, { sessionId: third, body: LIST })).status).toBe(200);
    expect((await ask(at, { sessionId: bobs, token: BOB_TOKEN, body: LIST })).status).toBe(200);
    const busy = await openStream(at, third);
    expect((await ask(at, { body: initialize() })).status).toBe(429);
    for (const open of [stream, busy]) open.socket.destroy();
  },

  async sessionIdleMs() {
    const at = await serve({ settings: { sessionIdleMs: 60_000 } });
    const used = await openSession(at);
    const idle = await openSession(at);
    const open = await openSession(at);
    const stream = await openStream(at, open);
    at.clock.advance(40_000);
    expect((await ask(at, { sessionId: used, body: LIST })).status).toBe(200);
    at.clock.advance(40_000);
    expect((await ask(at, { sessionId: idle, body: LIST })).status).toBe(404);
    expect((await ask(at, { sessionId: used, body: LIST })).status).toBe(200);
    expect((await ask(at, { sessionId: open, body: LIST })).status).toBe(200);
    expect(at.server.counts.sessions).toBe(2);
    stream.socket.destroy();
    // Also where nobody has swept yet.
    const late = await openSession(at);
    at.clock.advance(10_000);
    expect((await ask(at, { sessionId: late, body: LIST })).status).toBe(200);
    at.clock.advance(61_000);
    expect((await ask(at, { sessionId: late, body: LIST })).status).toBe(404);
  },

  async maxStreamsPerPrincipal() {
    const at = await serve({ settings: { maxStreamsPerPrincipal: 1 } });
    const stream = await openStream(at, await openSession(at));
    const second = await openSession(at);
    expect((await ask(at, { method: 'GET', sessionId: second })).status).toBe(429);
    const listen = modern('subscriptions/listen', { notifications: { toolsListChanged: true } });
    expect((await ask(at, listen)).status).toBe(429);
    stream.socket.destroy();
    await until(() => at.server.counts.streams === 0);
    (await openStream(at, second)).socket.destroy();
  },

  async maxSubscriptionsPerPrincipal() {
    const at = await serve({ settings: { maxSubscriptionsPerPrincipal: 1 } });
    const sessionId = await openSession(at);
    const subscribe = (uri: string): Promise<Answer> =>
      ask(at, { sessionId, body: request('resources/subscribe', { uri }) });
    expect((await subscribe('agent://runs/a')).body.result).toEqual({});
    expect((await subscribe('agent://runs/a')).body.result).toEqual({});
    expect((await subscribe('agent://runs/b')).body.error?.message).toContain('Too many subscriptions');
    await ask(at, { sessionId, body: request('resources/unsubscribe', { uri: 'agent://runs/a' }) });
    expect((await subscribe('agent://runs/b')).body.result).toEqual({});
  },

  async updateIntervalMs() {
    const at = await serve({ settings: { updateIntervalMs: 5000 } });
    const sessionId = await openSession(at);
    const stream = await openStream(at, sessionId);
    await ask(at, { sessionId, body: request('resources/subscribe', { uri: 'agent://health' }) });
    at.runtime.health = { status: 'fail', checks: [] };
    at.clock.advance(4999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(at.server.counts.updates).toBe(0);
    at.clock.advance(1);
    expect(await stream.until('notifications/resources/updated')).toContain('agent://health');
    expect(at.server.counts.updates).toBe(1);
    stream.socket.destroy();
  },
};

test.each(Object.entries(EFFECTS))('%s has an effect', (_key, effect) => effect());

test('calls in flight are counted over all tokens of a principal', async () => {
  const at = await serve();
  at.tokens.entries.push(tokenEntry('tok_second', 'second-0123456789', { ...ALICE, actor: 'http:second' }));
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  let begun = 0;
  at.runtime.during = () => {
    begun += 1;
    return over;
  };
  const read = modern('tools/call', { name: 'files:read', arguments: {} });
  const most = at.runtime.config.runtime.maxCallsInFlight;
  const held = Array.from({ length: most }, () => ask(at, read));
  await until(() => begun === most);
  const more = await ask(at, { ...read, token: 'second-0123456789' });
  expect(more.body.result).toMatchObject({ structuredContent: { error: { code: 'TOO_BUSY' } } });
  const bobs = ask(at, { ...read, token: BOB_TOKEN });
  await until(() => begun === most + 1);
  end();
  for (const one of await Promise.all([...held, bobs])) expect(one.body.result?.isError).toBeUndefined();
});

test('a body that keeps within every bound is taken in pieces', async () => {
  const at = await serve({ settings: { maxBodyBytes: 1024 } });
  const client = await raw(at.port);
  const lines = [
    AUTH,
    JSON_TYPE,
    'Accept: application/json, text/event-stream',
    'Transfer-Encoding: chunked',
  ];
  client.write(head(at.port, lines));
  for (const part of HELLO.match(/.{1,20}/gs) ?? [])
    client.write(`${part.length.toString(16)}\r\n${part}\r\n`);
  client.write('0\r\n\r\n');
  expect(await answered(client)).toBe('200');
  client.socket.destroy();
});

test('a stream that its client does not read ends with its connection, and its call with it', async () => {
  const at = await serve({ settings: { writeTimeoutMs: 5000 } });
  const message = 'x'.repeat(1024 * 1024);
  let steps = 0;
  const ended = new Promise<void>((resolve) => {
    at.runtime.during = async (io) => {
      io.signal.addEventListener('abort', () => resolve());
      while (!io.signal.aborted) {
        io.progress?.({ progress: ++steps, message });
        at.clock.advance(200);
        await new Promise((next) => setImmediate(next));
      }
      throw new RuntimeError('CANCELED');
    };
  });
  const { headers, body } = modern('tools/call', {
    name: 'files:read',
    arguments: {},
    _meta: { progressToken: 1 },
  });
  const text = JSON.stringify(body);
  const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
  const client = await raw(at.port);
  client.socket.pause();
  client.write(head(at.port, [AUTH, JSON_TYPE, ...lines, `Content-Length: ${text.length}`]) + text);
  await ended;
  // It was held for as long as it may, not for as long as it lasts.
  expect(steps).toBeLessThan(100);
  await until(() => at.server.counts.requests === 0);
});

test('whoever waits for the word to send gets it only with a good token', async () => {
  const at = await serve();
  const lines = [JSON_TYPE, 'Expect: 100-continue', `Content-Length: ${HELLO.length}`];
  const stranger = await raw(at.port);
  stranger.write(head(at.port, lines));
  expect(await answered(stranger)).toBe('401');
  const known = await raw(at.port);
  known.write(head(at.port, [AUTH, 'Accept: application/json, text/event-stream', ...lines]));
  await known.until('100 Continue');
  known.write(HELLO);
  expect(await known.until('serverInfo')).toContain('200 OK');
  known.socket.destroy();
});
