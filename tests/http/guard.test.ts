import { describe, expect, test } from 'vitest';
import { bearerToken, createTokenIndex } from '../../src/server/http/credentials.ts';
import { isJson, isLoopback, judgeHead, ownNames } from '../../src/server/http/guard.ts';
import type { GuardRules } from '../../src/server/http/guard.ts';
import { createRate } from '../../src/server/http/rate.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import {
  ALICE,
  ALICE_TOKEN,
  ask,
  AUTH,
  BOB_TOKEN,
  entry,
  head,
  initialize,
  raw,
  request,
  serve,
} from './rig.ts';
import type { Ask } from './rig.ts';

const RULES: GuardRules = {
  hosts: new Set(['127.0.0.1:8931', 'localhost:8931']),
  origins: new Set(['http://localhost:8931']),
  maxHeaders: 6,
  path: '/mcp',
};

function judge(rawHeaders: string[], over: { url?: string; method?: string } = {}): number | 'ok' {
  const judged = judgeHead({ method: 'POST', url: '/mcp', rawHeaders, ...over }, RULES);
  return judged.ok ? 'ok' : judged.refusal.status;
}

const HOST = ['Host', 'localhost:8931'];

describe('the head of a request', () => {
  test.each([
    ['its own name', HOST, 'ok'],
    ['its own name in capitals', ['HOST', 'LOCALHOST:8931'], 'ok'],
    ['a foreign name', ['Host', 'evil.test:8931'], 403],
    ['no name', [], 403],
    ['its name without the port', ['Host', 'localhost'], 403],
    ['its name with another port', ['Host', 'localhost:8932'], 403],
    ['a name that ends with a dot', ['Host', 'localhost.:8931'], 403],
    ['a name with a user', ['Host', 'evil@localhost:8931'], 403],
    ['two names', ['Host', 'localhost:8931', 'host', 'evil.test'], 400],
    ['the same name twice', [...HOST, ...HOST], 400],
    ['a list of names', ['Host', 'localhost:8931, evil.test'], 403],
    ['its own origin', [...HOST, 'Origin', 'http://localhost:8931'], 'ok'],
    ['a foreign origin', [...HOST, 'Origin', 'http://evil.test'], 403],
    ['an origin that begins like ours', [...HOST, 'Origin', 'http://localhost:8931.evil.test'], 403],
    ['our origin with a path', [...HOST, 'Origin', 'http://localhost:8931/'], 403],
    ['our origin in another spelling', [...HOST, 'Origin', 'HTTP://LOCALHOST:8931'], 403],
    ['our origin with a user', [...HOST, 'Origin', 'http://x@localhost:8931'], 403],
    ['another scheme', [...HOST, 'Origin', 'https://localhost:8931'], 403],
    ['the origin null', [...HOST, 'Origin', 'null'], 403],
    ['an empty origin', [...HOST, 'Origin', ''], 403],
    ['two origins', [...HOST, 'Origin', 'http://localhost:8931', 'Origin', 'http://evil.test'], 400],
    ['two tokens', [...HOST, 'Authorization', 'Bearer a', 'authorization', 'Bearer b'], 400],
    ['two session ids', [...HOST, 'Mcp-Session-Id', 'a', 'mcp-session-id', 'b'], 400],
    ['two of a header of the protocol', [...HOST, 'Mcp-Param-Region', 'a', 'mcp-param-region', 'b'], 400],
    ['two lengths', [...HOST, 'Content-Length', '2', 'content-length', '3'], 400],
    ['a length and chunks', [...HOST, 'Content-Length', '2', 'Transfer-Encoding', 'chunked'], 400],
    ['an encoding that is not chunks', [...HOST, 'Transfer-Encoding', 'gzip, chunked'], 400],
    ['two Accepts, which is allowed', [...HOST, 'Accept', 'a/b', 'Accept', 'c/d'], 'ok'],
    [
      'as many headers as may be',
      [...HOST, ...Array.from({ length: 5 }, (_, at) => [`x${at}`, '']).flat()],
      'ok',
    ],
    ['one header more', [...HOST, ...Array.from({ length: 6 }, (_, at) => [`x${at}`, '']).flat()], 431],
  ])('with %s', (_what, headers, expected) => {
    expect(judge(headers)).toBe(expected);
  });

  test('a wrong path and a wrong method are told apart only to those who may ask', () => {
    expect(judge(HOST, { url: '/' })).toBe(404);
    expect(judge(HOST, { url: '/mcp?x=1' })).toBe(404);
    expect(judge(HOST, { url: '/mcp/' })).toBe(404);
    expect(judge(HOST, { url: 'http://localhost:8931/mcp' })).toBe(404);
    expect(judge(HOST, { method: 'PUT' })).toBe(405);
    expect(judge(HOST, { method: 'OPTIONS' })).toBe(405);
    const asking = ['Access-Control-Request-Method', 'POST'];
    expect(judge([...HOST, ...asking], { method: 'OPTIONS' })).toBe(405);
    const page = [...HOST, ...asking, 'Origin'];
    expect(judge([...page, 'http://localhost:8931'], { method: 'OPTIONS' })).toBe('ok');
    expect(judge([...page, 'http://evil.test'], { method: 'OPTIONS' })).toBe(403);
    expect(judge([...page, 'http://localhost:8931'], { method: 'OPTIONS', url: '/' })).toBe(404);
    const evil = ['Host', 'evil.test'];
    expect([judge(evil, { url: '/' }), judge(evil, { method: 'PUT' })]).toEqual([403, 403]);
  });

  test('a server knows the names of where it listens', () => {
    expect(ownNames('127.0.0.1', 80).hosts).toEqual(['127.0.0.1', 'localhost', '[::1]']);
    expect(ownNames('::1', 8931).origins).toContain('http://[::1]:8931');
    expect(ownNames('192.0.2.7', 8931).hosts).toEqual(['192.0.2.7:8931']);
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) expect(isLoopback(host)).toBe(true);
    for (const host of ['0.0.0.0', '::', '127.0.0.1.evil.test', '127.1', '1270.0.0.1', '10.0.0.1', ''])
      expect(isLoopback(host)).toBe(false);
  });

  test('one content type is JSON', () => {
    for (const type of [
      'application/json',
      'Application/JSON; charset=utf-8',
      'application/json;charset="UTF-8"',
    ])
      expect(isJson(type)).toBe(true);
    for (const type of [undefined, '', 'text/plain', 'application/jsonx', 'application/json, text/plain'])
      expect(isJson(type)).toBe(false);
    for (const type of [
      'text/plain; application/json',
      'application/json; charset=utf-16',
      'application/json;x',
    ])
      expect(isJson(type)).toBe(false);
  });
});

describe('a token', () => {
  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic abc',
    'Bearer a b',
    'Bearer a,b',
    `Bearer ${'a'.repeat(600)}`,
  ])('is not read from %j', (header) => {
    expect(bearerToken(header)).toBeUndefined();
  });

  test('is found by its digest while it is good, and not a moment longer', () => {
    const clock = createFakeClock();
    const until = clock.now() + 1000;
    const index = createTokenIndex([entry('a', ALICE_TOKEN, ALICE, until)], new Uint8Array(32), () =>
      clock.now(),
    );
    expect(index.find(ALICE_TOKEN)).toEqual({ id: 'a', caller: ALICE, expiresAt: until });
    expect(index.find(`${ALICE_TOKEN}x`)).toBeUndefined();
    expect(index.holds('a')).toBe(true);
    clock.advance(1000);
    expect(index.find(ALICE_TOKEN)).toBeUndefined();
    expect(index.holds('a')).toBe(false);
  });
});

test('a rate lets a burst through, then what time gives, to each by itself', () => {
  const clock = createFakeClock();
  const rate = createRate(clock, 2, 3);
  expect([1, 2, 3, 4].map(() => rate.take('a'))).toEqual([0, 0, 0, 1]);
  expect(rate.take('b')).toBe(0);
  clock.advance(500);
  expect([rate.take('a'), rate.take('a')]).toEqual([0, 1]);
});

describe('on the wire', () => {
  const hello = JSON.stringify(initialize());
  const type = 'Content-Type: application/json';
  const accept = 'Accept: application/json, text/event-stream';
  const size = `Content-Length: ${Buffer.byteLength(hello)}`;

  async function status(more: string[], first?: string, body = hello): Promise<string> {
    const at = await serve();
    const client = await raw(at.port);
    client.write(head(at.port, more, first) + body);
    return (await client.until('\r\n')).slice(9, 12);
  }

  test('a whole request is taken', async () => {
    expect(await status([AUTH, type, accept, size])).toBe('200');
  });

  test.each([
    ['a second Host', [AUTH, type, accept, size, 'Host: evil.test'], '400'],
    ['a second Origin', [AUTH, type, size, 'Origin: http://127.0.0.1', 'Origin: http://evil.test'], '400'],
    ['a foreign Origin', [AUTH, type, size, 'Origin: http://evil.test'], '403'],
    ['a second token', [AUTH, AUTH, type, size], '400'],
    ['no token', [type, size], '401'],
    ['a token in lower case', [AUTH.toLowerCase(), type, accept, size], '200'],
    ['another content type', [AUTH, 'Content-Type: text/plain', size], '415'],
    ['no content type', [AUTH, size], '415'],
    ['a compressed body', [AUTH, type, 'Content-Encoding: gzip', size], '415'],
  ])('%s', async (_what, headers, expected) => {
    expect(await status(headers)).toBe(expected);
  });

  test('a name of another site that was pointed at us gets nothing, on any route', async () => {
    const at = await serve();
    for (const line of [
      'POST /mcp HTTP/1.1',
      'GET /mcp HTTP/1.1',
      'GET / HTTP/1.1',
      'OPTIONS /mcp HTTP/1.1',
    ]) {
      const client = await raw(at.port);
      client.write(`${line}\r\nHost: evil.test:${at.port}\r\n${AUTH}\r\n\r\n`);
      const answer = await client.until('\r\n\r\n');
      expect(answer.slice(9, 12)).toBe('403');
      expect(answer.toLowerCase()).not.toContain('access-control');
    }
  });

  test('without a Host there is no request, in either version of HTTP', async () => {
    const at = await serve();
    for (const [version, expected] of [
      ['1.1', '400'],
      ['1.0', '403'],
    ] as const) {
      const client = await raw(at.port);
      client.write(`POST /mcp HTTP/${version}\r\n${AUTH}\r\n\r\n`);
      expect((await client.until('\r\n')).slice(9, 12)).toBe(expected);
    }
  });

  test('a missing or wrong token is challenged, and no answer, log or error holds one', async () => {
    const at = await serve();
    const none = await ask(at, { token: '', body: initialize() });
    expect([none.status, none.headers['www-authenticate']]).toEqual([401, 'Bearer realm="agent-runtime"']);
    const wrong = await ask(at, { token: 'wrong-token-0123456789', body: initialize() });
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([
      401,
      'Bearer realm="agent-runtime", error="invalid_token"',
    ]);
    at.runtime.fault = new Error('inside');
    const failed = await ask(at, { body: initialize() });
    expect(failed.status).toBe(200);
    const said = JSON.stringify([none, wrong, failed, at.logged, at.server.counts]);
    for (const token of [ALICE_TOKEN, BOB_TOKEN, 'wrong-token-0123456789']) expect(said).not.toContain(token);
  });

  test.each<[string, Ask, number, string]>([
    ['a foreign Origin', { headers: { origin: 'http://evil.test' } }, 403, 'runtime.http.allowed_origins'],
    ['another path', { path: '/other' }, 404, 'MCP is served at /mcp and nowhere else'],
    ['another method', { method: 'PUT' }, 405, 'this path takes GET, POST, DELETE'],
    ['no token', { token: '' }, 401, 'Authorization: Bearer <token>'],
    ['a wrong token', { token: 'wrong-token-0123456789' }, 401, 'expired or been revoked'],
    ['a compressed body', { headers: { 'content-encoding': 'gzip' } }, 415, 'without Content-Encoding'],
    ['no session', { body: request('ping') }, 400, 'initialize gives one'],
    ['a lost session', { body: request('ping'), sessionId: 'lost' }, 404, 'begin a new one with initialize'],
  ])('%s: the refusal says what would be taken', async (_what, what, status, said) => {
    const { status: got, body } = await ask(await serve(), { body: initialize(), ...what });
    expect([got, body.error?.message]).toEqual([status, expect.stringContaining(said)]);
  });

  test('what is not one JSON-RPC message is refused as such', async () => {
    const at = await serve();
    const bodies: [string, number][] = [
      ['', -32_700],
      ['{', -32_700],
      ['[]', -32_600],
      [`[${hello}]`, -32_600],
      ['{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}', -32_600],
      ['{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"__proto__":{}}}', -32_600],
      [`{"jsonrpc":"2.0","id":7,"method":"x","params":${'['.repeat(100)}${']'.repeat(100)}}`, -32_600],
    ];
    for (const [body, code] of bodies) {
      const { status: got, body: answer } = await ask(at, { body });
      expect({ body, got, code: answer.error?.code }).toEqual({ body, got: 400, code });
    }
  });
});

test('a page of an allowed origin passes its preflight, calls with its token, and may read the answers; others get nothing', async () => {
  const at = await serve({ settings: { allowedOrigins: ['https://app.test'] } });
  const origin = 'https://app.test';
  const asks = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  const preflight = (of: string): ReturnType<typeof ask> =>
    ask(at, { method: 'OPTIONS', token: '', headers: { origin: of, ...asks } });
  const told = await preflight(origin);
  expect([told.status, told.text]).toEqual([204, '']);
  expect(told.headers).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, POST, DELETE',
    'access-control-allow-headers': 'authorization, *',
    vary: 'Origin',
  });
  const opened = await ask(at, { body: initialize(), headers: { origin } });
  expect(opened).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': origin } });
  expect(opened.headers['access-control-expose-headers']).toContain('mcp-session-id');
  const without = await ask(at, { body: initialize(), token: '', headers: { origin } });
  expect(without).toMatchObject({ status: 401, headers: { 'access-control-allow-origin': origin } });
  for (const refused of [await preflight('https://evil.test'), await ask(at, { body: initialize() })]) {
    expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
  }
  expect((await preflight('https://evil.test')).status).toBe(403);
});
