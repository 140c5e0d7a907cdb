// What a connection over HTTP leaves behind with each call.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Clock } from '../../src/base/clock.ts';
import { openHttpLink } from '../../src/capabilities/http-link.ts';
import { freshSignal, server, withBench } from './fixtures.ts';

/** A server of the older protocol that answers with plain JSON. */
async function answering(): Promise<string> {
  const results: Record<string, object> = {
    initialize: {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'plain', version: '1' },
    },
    'tools/list': { tools: [{ name: 'run', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: 'ok' }] },
  };
  const made = createServer((req, res) => {
    let body = '';
    req.on('data', (text: Buffer) => (body += text.toString()));
    req.on('end', () => {
      const { id, method = '' } = JSON.parse(body || '{}') as { id?: number; method?: string };
      if (req.method !== 'POST' || id === undefined)
        return res.writeHead(req.method === 'POST' ? 202 : 405).end();
      res.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's' });
      return res.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }));
    });
  });
  onTestFinished(() => void made.close());
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}/mcp`;
}

test('no signal collects listeners, however many calls go through one connection', async () => {
  const url = await answering();
  const left = new Map<EventTarget, number>();
  const { prototype } = EventTarget;
  for (const [name, by] of [
    ['addEventListener', 1],
    ['removeEventListener', -1],
  ] as const) {
    const original = prototype[name];
    const spy = vi.spyOn(prototype, name).mockImplementation(function (
      this: EventTarget,
      ...args: Parameters<typeof original>
    ) {
      if (args[0] === 'abort') left.set(this, (left.get(this) ?? 0) + by);
      original.apply(this, args);
    });
    onTestFinished(() => spy.mockRestore());
  }
  await withBench(
    [{ ...server('plain', []), transport: 'http', url, headers: {} }],
    async ({ call, downstreams }) => {
      await downstreams.connection('plain')!.session(freshSignal());
      for (let count = 0; count < 20; count++) {
        expect(await call('plain:run')).toMatchObject({ kind: 'result' });
      }
      expect(Math.max(...left.values())).toBeLessThan(5);
    },
  );
});

test('a connection that is closed leaves no timer that would keep a command from ending', async () => {
  let timers = 0;
  const clock: Clock = {
    ...systemClock,
    after(ms, fire) {
      timers += 1;
      const cancel = systemClock.after(ms, fire);
      return () => {
        timers -= 1;
        cancel();
      };
    },
  };
  const url = await answering();
  const plain = { ...server('plain', []), transport: 'http' as const, url, headers: {} };
  const link = await openHttpLink(plain, { clock, environment: {} });
  await link.close();
  expect(timers).toBe(0);
});
