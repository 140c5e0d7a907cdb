import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import {
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
  serve,
  until,
} from './rig.ts';
import type { Answer, Serving } from './rig.ts';

const LIST = request('tools/list');

function seen({ status, headers, body }: Answer): object {
  const { date: _date, ...rest } = headers;
  return { status, rest, body };
}

describe('a session id', () => {
  test('of another principal is answered exactly as one that never was, for every method', async () => {
    const at = await serve();
    const alices = await openSession(at);
    const unknown = `${alices.slice(0, -4)}AAAA`;
    for (const what of [{ body: LIST }, { method: 'GET' }, { method: 'DELETE' }, { body: initialize() }]) {
      const stolen = await ask(at, { ...what, token: BOB_TOKEN, sessionId: alices });
      const absent = await ask(at, { ...what, token: BOB_TOKEN, sessionId: unknown });
      expect(seen(stolen)).toEqual(seen(absent));
      expect(stolen.status).toBe(404);
    }
    expect((await ask(at, { sessionId: alices, body: LIST })).status).toBe(200);
  });

  test('is unguessable and never twice the same', async () => {
    const at = await serve();
    const made = [await openSession(at), await openSession(at)];
    for (const id of made) expect(Buffer.from(id, 'base64url')).toHaveLength(32);
    expect(made[0]).not.toBe(made[1]);
  });

  test('is ended by its own client, and then as if it had never been', async () => {
    const at = await serve();
    const id = await openSession(at);
    expect((await ask(at, { method: 'DELETE', sessionId: id })).status).toBe(200);
    expect((await ask(at, { sessionId: id, body: LIST })).status).toBe(404);
    expect((await ask(at, { method: 'DELETE', sessionId: id })).status).toBe(404);
    expect(at.server.counts.sessions).toBe(0);
  });

  test('that could not be begun takes no place', async () => {
    const at = await serve({ settings: { maxSessions: 1, maxSessionsPerPrincipal: 1 } });
    await ask(at, modern('tools/list'));
    const { onToolsChanged } = at.runtime;
    at.runtime.onToolsChanged = () => {
      throw new Error('not now');
    };
    expect((await ask(at, { body: initialize() })).status).toBe(500);
    at.runtime.onToolsChanged = onToolsChanged;
    expect((await ask(at, { body: initialize() })).status).toBe(200);
  });

  test('is needed for all but the handshake', async () => {
    const at = await serve();
    for (const what of [{ body: LIST }, { method: 'GET' }, { method: 'DELETE' }]) {
      expect((await ask(at, what)).status).toBe(400);
    }
    expect(at.server.counts.sessions).toBe(0);
  });

  test('is not made by a handshake that is refused', async () => {
    const at = await serve();
    const answer = await ask(at, { body: initialize(), headers: { accept: 'application/json' } });
    expect(answer.status).toBe(406);
    expect(at.server.counts.sessions).toBe(0);
  });

  test('opens one stream at a time', async () => {
    const at = await serve();
    const sessionId = await openSession(at);
    const stream = await raw(at.port);
    const lines = [AUTH, 'Accept: text/event-stream', `Mcp-Session-Id: ${sessionId}`];
    stream.write(head(at.port, lines, 'GET /mcp HTTP/1.1'));
    expect(await stream.until('\r\n\r\n')).toContain('200 OK');
    expect((await ask(at, { method: 'GET', sessionId })).status).toBe(409);
    stream.socket.destroy();
  });
});

/** A call of Alice's whose last byte is still to come. */
function halves(port: number): { first: string; last: string } {
  const { headers, body } = modern('tools/call', { name: 'files:read', arguments: {} });
  const text = JSON.stringify(body);
  const own = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
  const type = ['Content-Type: application/json', `Content-Length: ${text.length}`];
  return { first: head(port, [AUTH, ...own, ...type]) + text.slice(0, -1), last: text.slice(-1) };
}

describe('a token that is revoked or expires', () => {
  /** One stream of each era, opened with Alice's token. */
  async function streams(at: Serving): Promise<{ ends: Promise<string>[]; sessionId: string }> {
    const sessionId = await openSession(at);
    const old = await raw(at.port);
    const lines = [AUTH, 'Accept: text/event-stream', `Mcp-Session-Id: ${sessionId}`];
    old.write(head(at.port, [...lines, 'Connection: close'], 'GET /mcp HTTP/1.1'));
    await old.until('\r\n\r\n');
    const young = await raw(at.port);
    const { headers, body } = modern('subscriptions/listen', { notifications: { toolsListChanged: true } });
    const text = JSON.stringify(body);
    const own = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
    const type = ['Content-Type: application/json', `Content-Length: ${text.length}`, 'Connection: close'];
    young.write(head(at.port, [AUTH, ...own, ...type]) + text);
    await young.until('acknowledged');
    return { ends: [old.rest, young.rest], sessionId };
  }

  test('ends its sessions and streams without a further request', async () => {
    const at = await serve();
    const { ends } = await streams(at);
    at.tokens.entries = at.tokens.entries.filter(({ id }) => id !== 'tok_alice');
    at.clock.advance(1000);
    await Promise.all(ends);
    expect(at.server.counts).toMatchObject({ sessions: 0, streams: 0 });
    expect((await ask(at, { body: initialize() })).status).toBe(401);
    expect((await ask(at, { token: BOB_TOKEN, body: initialize() })).status).toBe(200);
  });

  test('ends its sessions and streams also while the list of tokens cannot be read', async () => {
    const at = await serve();
    at.tokens.entries[0] = { ...at.tokens.entries[0]!, expiresAt: at.clock.now() + 500 };
    const { ends } = await streams(at);
    at.tokens.refresh = () => Promise.reject(new RuntimeError('STORE_CORRUPT'));
    at.clock.advance(1000);
    await Promise.all(ends);
    expect(at.server.counts).toMatchObject({ sessions: 0, streams: 0 });
  });

  test('cancels what it had in flight', async () => {
    const at = await serve();
    const ended = new Promise<void>((resolve) => {
      at.runtime.during = (io) =>
        new Promise((_, reject) => {
          io.signal.addEventListener('abort', () => {
            resolve();
            reject(new RuntimeError('CANCELED'));
          });
          at.tokens.entries = [];
          at.clock.advance(1000);
        });
    });
    const call = ask(at, modern('tools/call', { name: 'files:read', arguments: {} })).catch(() => undefined);
    await ended;
    await call;
  });

  test('counts for nothing whose request arrives whole only after that', async () => {
    const at = await serve();
    const late = await raw(at.port);
    const { first, last } = halves(at.port);
    late.write(first);
    await until(() => at.server.counts.requests === 1);
    at.tokens.entries = at.tokens.entries.filter(({ id }) => id !== 'tok_alice');
    late.write(last);
    expect(await late.until('\r\n\r\n')).toContain('401 Unauthorized');
    expect(at.runtime.effects).toHaveLength(0);
  });
});

describe('listening', () => {
  test('what a subscriber may not read is left out of what is acknowledged', async () => {
    const at = await serve();
    const mine = ['agent://runs/mine', 'agent://health'];
    const uris = [...mine, 'agent://runs/foreign', 'agent://runs/', 'file:///etc/passwd', mine[0]];
    const client = await raw(at.port);
    const { headers, body } = modern('subscriptions/listen', {
      notifications: { resourceSubscriptions: uris },
    });
    const text = JSON.stringify(body);
    const own = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
    const type = ['Content-Type: application/json', `Content-Length: ${text.length}`];
    client.write(head(at.port, [AUTH, ...own, ...type]) + text);
    const came = await client.until('acknowledged');
    const ack = JSON.parse(/data: (.+)/.exec(came)?.[1] ?? '{}') as { params: { notifications: object } };
    expect(ack.params.notifications).toEqual({ resourceSubscriptions: mine });
    expect(at.server.counts).toMatchObject({ streams: 1, subscriptions: 2 });

    at.runtime.health = { status: 'fail', checks: [] };
    at.clock.advance(1000);
    expect(await client.until('notifications/resources/updated')).toContain('"uri":"agent://health"');
    client.socket.destroy();
    await until(() => at.server.counts.streams === 0);
    expect(at.server.counts).toMatchObject({ subscriptions: 0, updates: 1 });
  });

  /** A request to listen to twenty resources, at the first of which its reading stands still. */
  async function reading(
    at: Serving,
  ): Promise<{ answer: Promise<Answer>; read: () => number; goOn: () => void }> {
    let read = 0;
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const { inspect } = at.runtime;
    at.runtime.inspect = async (...args) => {
      read += 1;
      await held;
      return inspect.apply(at.runtime, args);
    };
    const resourceSubscriptions = Array.from({ length: 20 }, (_, n) => `agent://runs/mine${n}`);
    const answer = ask(at, modern('subscriptions/listen', { notifications: { resourceSubscriptions } }));
    answer.catch(() => undefined);
    await until(() => read === 1);
    return { answer, read: () => read, goOn };
  }

  test('reads no further for a token that has been revoked', async () => {
    const at = await serve();
    const { answer, read, goOn } = await reading(at);
    at.tokens.entries = at.tokens.entries.filter(({ id }) => id !== 'tok_alice');
    at.clock.advance(1000);
    await until(() => at.runtime.listeners === 0);
    goOn();
    expect((await answer).status).toBe(401);
    expect(read()).toBe(1);
    expect(at.server.counts).toMatchObject({ streams: 0, subscriptions: 0 });
  });

  test('reads no further once the server stops, which waits for what is being read', async () => {
    const at = await serve();
    const { read, goOn } = await reading(at);
    let isClosed = false;
    const closed = at.server.close().then(() => (isClosed = true));
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    goOn();
    await closed;
    expect(read()).toBe(1);
    expect(at.server.counts).toMatchObject({ streams: 0, subscriptions: 0 });
  });

  test('a subscription ends when its resource may not be read any more', async () => {
    const at = await serve();
    const sessionId = await openSession(at);
    const body = request('resources/subscribe', { uri: 'agent://runs/mine' });
    expect((await ask(at, { sessionId, body })).body.result).toEqual({});
    at.runtime.inspect = () => Promise.reject(new RuntimeError('NOT_FOUND'));
    at.clock.advance(1000);
    await until(() => at.server.counts.subscriptions === 0);
    expect(at.server.counts.updates).toBe(0);
    const again = await ask(at, { sessionId, body });
    expect(again.body.error?.message).toContain('not found');
  });

  test('nothing of one token is told to another', async () => {
    const at = await serve();
    const lines = ['Accept: text/event-stream'];
    const open = async (token: string): Promise<{ sessionId: string; came: () => string }> => {
      const sessionId = await openSession(at, token);
      const stream = await raw(at.port);
      let came = '';
      stream.socket.on('data', (text) => (came += String(text)));
      const own = [`Authorization: Bearer ${token}`, `Mcp-Session-Id: ${sessionId}`];
      stream.write(head(at.port, [...lines, ...own], 'GET /mcp HTTP/1.1'));
      await stream.until('\r\n\r\n');
      return { sessionId, came: () => came };
    };
    const alice = await open(ALICE_TOKEN);
    const bob = await open(BOB_TOKEN);
    const body = request('resources/subscribe', { uri: 'agent://health' });
    await ask(at, { sessionId: alice.sessionId, body });
    at.runtime.health = { status: 'fail', checks: [] };
    at.clock.advance(1000);
    await until(() => alice.came().includes('resources/updated'));
    expect(bob.came()).not.toContain('updated');
  });
});

describe('stopping', () => {
  test('lets a call in flight be answered, takes no new one, and leaves nothing', async () => {
    const at = await serve();
    let end = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      at.runtime.during = () =>
        new Promise((over) => {
          end = over;
          resolve();
        });
    });
    const kept = await raw(at.port);
    kept.write(head(at.port, [AUTH], 'GET / HTTP/1.1'));
    await kept.until('404');
    const call = ask(at, modern('tools/call', { name: 'files:read', arguments: {} }));
    await begun;
    const closed = at.server.close();
    await kept.rest;
    await expect(ask(at, modern('tools/list'))).rejects.toThrow();
    end();
    expect((await call).body.result).toMatchObject({ structuredContent: { ok: true } });
    await closed;
    expect(at.runtime.listeners).toBe(0);
  });

  test('a call that comes on an open connection after it began is not run', async () => {
    const at = await serve();
    let end = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      at.runtime.during = () =>
        new Promise((over) => {
          end = over;
          resolve();
        });
    });
    const late = await raw(at.port);
    const { headers, body } = modern('tools/call', { name: 'files:read', arguments: {} });
    const text = JSON.stringify(body);
    const own = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
    const type = ['Content-Type: application/json', `Content-Length: ${text.length}`];
    const whole = head(at.port, [AUTH, ...own, ...type]) + text;
    late.write(whole);
    await begun;
    const closed = at.server.close();
    // The second of two on one connection.
    late.write(whole);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    end();
    await late.rest;
    await closed;
    expect(at.runtime.effects).toHaveLength(1);
  });

  test('a call whose request is whole only after it began is not run', async () => {
    const at = await serve();
    const late = await raw(at.port);
    const { first, last } = halves(at.port);
    late.write(first);
    await until(() => at.server.counts.requests === 1);
    let end = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      at.runtime.during = () =>
        new Promise((over) => {
          end = over;
          resolve();
        });
    });
    const call = ask(at, modern('tools/call', { name: 'files:read', arguments: {} }));
    await begun;
    const closed = at.server.close();
    late.write(last);
    expect(await late.until('\r\n\r\n')).toContain('503 Service Unavailable');
    end();
    await call;
    await closed;
    expect(at.runtime.effects).toHaveLength(1);
  });

  test('after its grace ends what does not end by itself, with its signal, and waits for its record', async () => {
    const at = await serve();
    const order: string[] = [];
    const begun = new Promise<void>((resolve) => {
      at.runtime.during = (io) =>
        new Promise((_, reject) => {
          io.signal.addEventListener('abort', () => {
            order.push('signal');
            void Promise.resolve().then(() => {
              order.push('recorded');
              reject(new RuntimeError('CANCELED'));
            });
          });
          resolve();
        });
    });
    const call = ask(at, modern('tools/call', { name: 'files:read', arguments: {} })).then(
      () => 'answered',
      () => 'broken off',
    );
    await begun;
    const closed = at.server.close().then(() => order.push('closed'));
    at.clock.advance(1000);
    await closed;
    expect(order).toEqual(['signal', 'recorded', 'closed']);
    await call;
  });
});
