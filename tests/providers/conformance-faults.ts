// The second half of the suite: what a server, a network or a caller can do wrong, for every wire kind.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { bench, errorOf, fixturesOf, KEY, outputOf, turn } from './kit.ts';
import type { WireProviderKind } from './kit.ts';
import { startServer } from './misbehaving-server.ts';

export function faultConformance(kind: WireProviderKind): void {
  describe(`failures of ${kind}`, () => failures(kind));
  describe(`retries of ${kind}`, () => retries(kind));
  describe(`ends of ${kind}`, () => ends(kind));
}

function failures(kind: WireProviderKind): void {
  const reply = fixturesOf(kind);

  verifies({ partial: ['PA-06'] }, 'an HTML error page is an HTTP error without its text', async () => {
    const html = { status: 500, headers: { 'content-type': 'text/html' }, body: '<html>Internal</html>' };
    const { provider } = await bench(kind, [html], { maxRetries: 0 });
    const error = await errorOf(provider);
    expect(error.code).toBe('PROVIDER_HTTP_ERROR');
    expect(error.details).not.toHaveProperty('provider_message');
  });

  for (const status of [301, 302, 303, 307, 308]) {
    verifies(
      { partial: ['PA-05'] },
      `redirect ${status} to another origin is refused, and that origin sees nothing`,
      async () => {
        const other = await startServer([reply('text')]);
        const location = `${other.origin}/v1/steal?q=secret`;
        const { provider, server } = await bench(kind, [{ status, headers: { location } }]);
        const error = await errorOf(provider);
        expect(error.code).toBe('PROVIDER_HTTP_ERROR');
        expect(error.details).toMatchObject({ reason: 'redirect refused', redirect_origin: other.origin });
        expect(JSON.stringify(error.details)).not.toContain('steal');
        expect(other.received).toEqual([]);
        expect(server.received).toHaveLength(1);
        await other.close();
      },
    );
  }

  for (const onText of [undefined, (): void => undefined]) {
    const how = onText === undefined ? 'whole' : 'streamed';
    verifies({ partial: ['PA-06'] }, `a body of 50 MB is given up at the limit: ${how}`, async () => {
      const size = 50 * 1024 * 1024;
      const { provider, server } = await bench(kind, [{ flood: size }], { maxResponseBytes: 256 * 1024 });
      const error = await errorOf(provider, onText === undefined ? {} : { onText });
      expect(error.code).toBe('PROVIDER_MALFORMED_RESPONSE');
      expect(error.details).toMatchObject({ reason: 'too large', max_response_bytes: 256 * 1024 });
      await server.hangup;
      // What lies in socket buffers was sent but never read by us.
      expect(server.flooded()).toBeLessThan(size / 2);
    });
  }

  verifies({ partial: ['PA-06'] }, 'an error body of 50 MB is not read to its end', async () => {
    const size = 50 * 1024 * 1024;
    const { provider, server } = await bench(kind, [{ status: 400, flood: size }]);
    const error = await errorOf(provider);
    expect(error).toMatchObject({ code: 'PROVIDER_HTTP_ERROR', details: { response_status: 400 } });
    await server.hangup;
    expect(server.flooded()).toBeLessThan(size / 2);
  });

  verifies({ partial: ['PA-06'] }, 'a body that announces too many bytes is not read at all', async () => {
    const headers = { 'content-length': String(50 * 1024 * 1024) };
    const { provider } = await bench(kind, [{ headers, body: ' ', end: 'hang' }]);
    expect((await errorOf(provider)).details).toMatchObject({ reason: 'too large' });
  });

  verifies(
    { partial: ['PA-03'] },
    'a key that the server echoes reaches no error, whole, in parts of the message or in its code',
    async () => {
      const echoes = [
        `Incorrect API key provided: ${KEY}.`,
        `${'x'.repeat(290)}${KEY}`,
        `see https://help.example/?key=${encodeURIComponent(KEY)} and ${KEY.toUpperCase()}`,
      ];
      for (const message of echoes) {
        const body = { error: { message, type: 'auth', code: KEY } };
        const { provider } = await bench(kind, [{ status: 401, body }]);
        const error = await errorOf(provider);
        expect(String(error.details['provider_message']).length).toBeLessThanOrEqual(300);
        expect(error.details['provider_code']).toBe('[key removed]');
        expect(JSON.stringify(error.details)).not.toMatch(/sk-test/i);
      }
    },
  );

  verifies(
    { partial: ['PA-03'] },
    'a key that the server echoes reaches no output and no streamed text',
    async () => {
      const edit = (text: string): string => text.replaceAll('Grüße', KEY.replace('/', String.raw`\/`));
      const whole = await bench(kind, [JSON.parse(edit(JSON.stringify(reply('text')))) as object]);
      const output = await outputOf(whole.provider);
      expect(output.text).toContain('[key removed]');
      expect(output.text).not.toContain(KEY);
      const streamed = await bench(kind, [
        { stream: (reply('stream_text').stream ?? '').replace('Grüße', KEY) },
      ]);
      let told = '';
      await outputOf(streamed.provider, { onText: (delta) => (told += delta) });
      expect(told).toContain('[key removed]');
      expect(told).not.toContain(KEY);
    },
  );

  verifies({ partial: ['PA-05'] }, 'a cookie that the server sets does not come back', async () => {
    const headers = { 'set-cookie': 'track=1; Path=/' };
    const { provider, server } = await bench(kind, [{ ...reply('text'), headers }]);
    await outputOf(provider);
    await outputOf(provider);
    expect(server.received[1]?.headers.cookie).toBeUndefined();
  });
}

function retries(kind: WireProviderKind): void {
  const reply = fixturesOf(kind);
  const limited = (after: string): object => ({ ...reply('error_429'), headers: { 'retry-after': after } });

  verifies(
    { partial: ['PA-06'] },
    'Retry-After in seconds and as a date is kept to, then the call succeeds',
    async () => {
      const date = new Date(Date.UTC(2026, 10, 21) + 19_000).toUTCString();
      const { provider, server, clock } = await bench(kind, [limited('7'), limited(date), reply('text')]);
      const { facts } = await provider.generate(turn(), { signal: new AbortController().signal });
      expect(facts).toMatchObject({ attempts: 3, responseStatus: 200 });
      expect(server.received).toHaveLength(3);
      expect(clock.waits).toEqual([7_000, 12_000]);
    },
  );

  verifies(
    { partial: ['PA-06'] },
    'Retry-After beyond the deadline ends the call at once and says how long',
    async () => {
      const { provider, server, clock } = await bench(kind, [limited('3600')]);
      const error = await errorOf(provider);
      expect(error.code).toBe('PROVIDER_RATE_LIMITED');
      expect(error.details).toMatchObject({ retry_after_ms: 3_600_000, attempts: 1, response_status: 429 });
      expect(server.received).toHaveLength(1);
      expect(clock.waits).toEqual([]);
    },
  );

  verifies({ partial: ['PA-06'] }, '503 twice, then an answer: waits grow and are spread', async () => {
    const { provider, clock } = await bench(kind, [{ status: 503 }, { status: 503 }, reply('text')]);
    const { facts } = await provider.generate(turn(), { signal: new AbortController().signal });
    expect(facts.attempts).toBe(3);
    expect(clock.waits).toEqual([375, 750]);
  });

  verifies(
    { partial: ['PA-06'] },
    'retries stop at the number of the profile, and a 400 is never repeated',
    async () => {
      const { provider, server } = await bench(kind, [{ status: 503 }], { maxRetries: 1 });
      expect((await errorOf(provider)).details).toMatchObject({ attempts: 2, response_status: 503 });
      expect(server.received).toHaveLength(2);
      const bad = await bench(kind, [reply('error_400')]);
      await errorOf(bad.provider);
      expect(bad.server.received).toHaveLength(1);
    },
  );

  verifies(
    { partial: ['PA-06'] },
    'an answer that breaks off before its first byte is asked for again, after it not',
    async () => {
      const early = await bench(kind, [{ body: '', end: 'reset' }, reply('text')]);
      expect((await outputOf(early.provider)).complete).toBe(true);
      const late = await bench(kind, [{ body: '{"id":', end: 'reset' }, reply('text')]);
      expect((await errorOf(late.provider)).code).toBe('PROVIDER_TRANSPORT_ERROR');
      expect(late.server.received).toHaveLength(1);
    },
  );
}

function ends(kind: WireProviderKind): void {
  const reply = fixturesOf(kind);

  verifies(
    { partial: ['PA-06'] },
    'a server that never answers, or never ends its body, meets the deadline',
    async () => {
      const half = { body: '{"id":', end: 'hang' } as const;
      for (const hanging of [{ silent: true }, half, { status: 500, ...half }]) {
        const { provider, server, clock } = await bench(kind, [hanging]);
        const failed = errorOf(provider);
        await server.arrival(1);
        clock.expire();
        const error = await failed;
        expect(error.code).toBe('PROVIDER_TIMEOUT');
        expect(error.details).toMatchObject({ provider_kind: kind, attempts: 1 });
        await server.hangup;
      }
    },
  );

  verifies({ partial: ['PA-06'] }, 'the caller ends a stream in the middle of its body', async () => {
    const { provider, server } = await bench(kind, [{ ...reply('stream_no_finish'), end: 'hang' }]);
    const controller = new AbortController();
    const failed = errorOf(provider, { onText: () => undefined, signal: controller.signal });
    await server.arrival(1);
    controller.abort();
    expect((await failed).code).toBe('CANCELED');
    await server.hangup;
  });

  verifies(
    { partial: ['PA-06'] },
    'the caller ends the wait between two requests: at once, and no second request',
    async () => {
      const { provider, server, clock } = await bench(kind, [{ status: 503 }]);
      const waiting = clock.holdWaits();
      const controller = new AbortController();
      const failed = errorOf(provider, { signal: controller.signal });
      await waiting;
      controller.abort();
      const error = await failed;
      expect(error.code).toBe('CANCELED');
      expect(error.details).toMatchObject({ attempts: 1, response_status: 503 });
      expect(clock.pending()).toBe(0);
      expect(server.received).toHaveLength(1);
    },
  );

  verifies({ partial: ['PA-06'] }, 'a call that has already ended makes no request', async () => {
    const { provider, server } = await bench(kind, [reply('text')]);
    expect((await errorOf(provider, { signal: AbortSignal.abort() })).code).toBe('CANCELED');
    expect(server.received).toEqual([]);
  });
}
