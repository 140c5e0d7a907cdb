// Shows that the one client of a stdio connection is told when what it may read has changed, in both eras, and only then.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { verifies } from '../e2e/verifies.ts';
import { FakeRuntime } from './fake-runtime.ts';
import { raw, settled } from './harness.ts';
import type { Serving } from './harness.ts';
import type { RawClient, RawMessage } from './clients.ts';

const RUN = 'agent://sessions/ses_1';
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** A runtime whose one session moves when a test says so. */
class MovingRuntime extends FakeRuntime {
  step = 0;
  readers = 0;
  gone = false;
  /** What a read waits for. */
  held: Promise<void> | undefined;

  override inspect: FakeRuntime['inspect'] = async (_caller, kind, id) => {
    this.readers += 1;
    await this.held;
    if (id.startsWith('foreign') || this.gone) throw new RuntimeError('NOT_FOUND');
    return { kind, id, state: { step: this.step }, timeline: [], decisions: [], receipts: [], links: {} };
  };
}

type Place = Omit<Serving, 'runtime'> & { runtime: MovingRuntime; client: RawClient };

async function place(): Promise<Place> {
  const runtime = new MovingRuntime();
  return { ...(await raw({ runtime })), runtime };
}

async function look(at: Place): Promise<void> {
  await settled();
  at.clock.advance(1000);
  await settled();
}

const isUpdate = ({ method }: RawMessage): boolean => method === 'notifications/resources/updated';
const updates = ({ lines }: RawClient): RawMessage[] =>
  lines.map((line) => JSON.parse(line) as RawMessage).filter(isUpdate);

function listen(at: Place, id: string, uris: string[]): Promise<RawMessage> {
  const notifications = { resourceSubscriptions: uris };
  at.client.send({ id, method: 'subscriptions/listen', params: { notifications, _meta: ENVELOPE } });
  return at.client.take(({ method }) => method === 'notifications/subscriptions/acknowledged');
}

describe('a client of the modern era', () => {
  verifies(
    { partial: ['QB-09'] },
    'listens to a session and is told once for each change, until it stops listening',
    async () => {
      const at = await place();
      const said = await listen(at, 'l1', [
        RUN,
        'agent://sessions/foreign',
        'agent://sessions/',
        'file:///x',
      ]);
      expect(said.params?.notifications).toEqual({ resourceSubscriptions: [RUN] });
      await look(at);
      expect(updates(at.client)).toEqual([]);
      at.runtime.step = 1;
      await look(at);
      await look(at);
      expect(updates(at.client).map(({ params }) => params?.uri)).toEqual([RUN]);
      at.client.send({ method: 'notifications/cancelled', params: { requestId: 'l1' } });
      at.runtime.step = 2;
      await look(at);
      const { readers } = at.runtime;
      await look(at);
      expect(updates(at.client)).toHaveLength(1);
      expect(at.runtime.readers).toBe(readers);
    },
  );

  test('whose first request has nothing left to hear ends it without ending a later one', async () => {
    const at = await place();
    await listen(at, 'l1', [RUN]);
    at.runtime.gone = true;
    await look(at);
    at.runtime.gone = false;
    await listen(at, 'l2', [RUN]);
    at.client.send({ method: 'notifications/cancelled', params: { requestId: 'l1' } });
    await settled();
    at.runtime.step = 1;
    await look(at);
    expect(updates(at.client).map(({ params }) => params?.uri)).toEqual([RUN]);
  });

  test('one that is cancelled while it is read, or refused, is not listened to', async () => {
    const at = await place();
    await listen(at, 'l0', []);
    at.client.send({
      id: 'l1',
      method: 'subscriptions/listen',
      params: { notifications: { resourceSubscriptions: [RUN] }, _meta: ENVELOPE },
    });
    at.client.send({ method: 'notifications/cancelled', params: { requestId: 'l1' } });
    at.client.send({
      id: 'l2',
      method: 'subscriptions/listen',
      params: { notifications: { resourceSubscriptions: [RUN] } },
    });
    expect((await at.client.answer('l2')).error?.code).toBe(-32602);
    await settled();
    const { readers } = at.runtime;
    at.runtime.step = 1;
    await look(at);
    expect(at.runtime.readers).toBe(readers);
    expect(updates(at.client)).toEqual([]);
  });
});

describe('a request to listen to very many', () => {
  const many = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, n) => `agent://sessions/${name}${n}`);

  test('is read as far as a bound; the rest is left out unread', async () => {
    const at = await place();
    const said = await listen(at, 'l1', [...many('own', 3), ...many('foreign', 500), ...many('late', 3)]);
    expect(said.params?.notifications).toEqual({ resourceSubscriptions: many('own', 3) });
    expect(at.runtime.readers).toBeLessThan(200);
  });

  test.each(['is cancelled', 'is left by its client'])('is read no further once it %s', async (how) => {
    const at = await place();
    await listen(at, 'l0', []);
    let release = (): void => undefined;
    at.runtime.held = new Promise((resolve) => (release = resolve));
    const notifications = { resourceSubscriptions: many('own', 20) };
    at.client.send({ id: 'l1', method: 'subscriptions/listen', params: { notifications, _meta: ENVELOPE } });
    await expect.poll(() => at.runtime.readers).toBe(1);
    if (how === 'is cancelled') {
      at.client.send({ method: 'notifications/cancelled', params: { requestId: 'l1' } });
    } else at.client.end();
    await settled();
    release();
    await settled();
    expect(at.runtime.readers).toBe(1);
  });
});

test('a request to listen that was cancelled while it was read stays so when its id is used again', async () => {
  const at = await place();
  await listen(at, 'l0', []);
  let release = (): void => undefined;
  at.runtime.held = new Promise((resolve) => (release = resolve));
  const resourceSubscriptions = Array.from({ length: 20 }, (_, n) => `agent://sessions/first${n}`);
  const params = { notifications: { resourceSubscriptions }, _meta: ENVELOPE };
  at.client.send({ id: 'l1', method: 'subscriptions/listen', params });
  await expect.poll(() => at.runtime.readers).toBe(1);
  at.client.send({ method: 'notifications/cancelled', params: { requestId: 'l1' } });
  const second = listen(at, 'l1', [RUN]);
  await expect.poll(() => at.runtime.readers).toBe(2);
  release();
  expect((await second).params?.notifications).toEqual({ resourceSubscriptions: [RUN] });
  await settled();
  expect(at.runtime.readers).toBe(2);
});

describe('a client of the legacy era', () => {
  verifies(
    { partial: ['QB-09'] },
    'subscribes to a session and is told until it may not read it any more',
    async () => {
      const at = await place();
      const hello = await at.client.initialize();
      expect(hello.result?.capabilities).toMatchObject({ resources: { subscribe: true } });
      expect((await at.client.request(1, 'resources/subscribe', { uri: RUN })).result).toEqual({});
      const refused = await at.client.request(2, 'resources/subscribe', { uri: 'agent://sessions/foreign' });
      expect(refused.error?.message).toContain('not found');
      at.runtime.step = 1;
      await look(at);
      expect(updates(at.client).map(({ params }) => params?.uri)).toEqual([RUN]);
      at.runtime.gone = true;
      await look(at);
      const { readers } = at.runtime;
      await look(at);
      expect(at.runtime.readers).toBe(readers);
    },
  );

  test('has a bound, and unsubscribing gives its place back', async () => {
    const at = await place();
    await at.client.initialize();
    const subscribe = (id: number): Promise<RawMessage> =>
      at.client.request(id, 'resources/subscribe', { uri: `agent://sessions/s${id}` });
    for (let id = 1; id <= 64; id++) expect((await subscribe(id)).error).toBeUndefined();
    expect((await subscribe(65)).error?.message).toContain('Too many subscriptions');
    await at.client.request(66, 'resources/unsubscribe', { uri: 'agent://sessions/s1' });
    expect((await subscribe(65)).error).toBeUndefined();
  });
});
