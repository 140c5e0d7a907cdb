// The common path of a call, against a vendor package that does not behave: the promises hold without its help.
import { describe, expect, test } from 'vitest';
import type { ModelProvider } from '../../src/providers/contract.ts';
import type { VendorModel, VendorPart, VendorSettings } from '../../src/providers/model-port.ts';
import { createWireProvider } from '../../src/providers/wire-provider.ts';
import { DEADLINE_MS, errorOf, KEY, KEY_ENV, profileOf } from './kit.ts';
import { createManualClock } from './manual-clock.ts';
import type { ManualClock } from './manual-clock.ts';
import { startServer } from './misbehaving-server.ts';

const FAILED = { unified: 'error', raw: undefined };
const unused = (): Promise<never> => Promise.reject(new TypeError('not asked for'));

function providerOver(
  open: (settings: VendorSettings) => VendorModel,
  baseUrl = 'http://127.0.0.1:1/v1',
): { provider: ModelProvider; clock: ManualClock } {
  const clock = createManualClock(DEADLINE_MS);
  const provider = createWireProvider({
    profile: profileOf('openai_compatible'),
    wire: { path: '/x', arrange: (messages) => messages, open: async (settings) => open(settings) },
    baseUrl: () => new URL(baseUrl),
    env: { [KEY_ENV]: KEY },
    clock,
    random: () => 0,
    fetch,
  });
  return { provider, clock };
}

function streaming(...parts: VendorPart[]): VendorModel {
  async function* all(): AsyncGenerator<VendorPart> {
    yield* parts;
  }
  return { generate: () => Promise.reject(new TypeError(`bad header ${KEY}`)), stream: async () => all() };
}

describe('a call over the wire', () => {
  test('ends at its deadline although the package hears no signal, and leaves no timer', async () => {
    const deaf = new Promise<never>(() => undefined);
    const { provider, clock } = providerOver(() => ({ generate: () => deaf, stream: () => deaf }));
    const late = errorOf(provider);
    clock.expire();
    expect((await late).code).toBe('PROVIDER_TIMEOUT');
    const controller = new AbortController();
    const unwanted = errorOf(provider, { signal: controller.signal });
    controller.abort();
    expect((await unwanted).code).toBe('CANCELED');
    expect(clock.pending()).toBe(0);
  });

  test('a streamed tool call counts for nothing when the stream finishes with an error or not at all', async () => {
    const call = { type: 'tool-call', toolCallId: 'a', toolName: 'fs__read', input: '{"path":"a' };
    for (const parts of [[call, { type: 'finish', finishReason: FAILED }], [call]]) {
      const { provider } = providerOver(() => streaming(...parts));
      expect((await errorOf(provider, { onText: () => undefined })).code).toBe('PROVIDER_MALFORMED_RESPONSE');
    }
  });

  test('what a package throws before a request is ours, without its text', async () => {
    const { provider } = providerOver(() => streaming());
    const error = await errorOf(provider);
    expect(error.code).toBe('INTERNAL');
    expect(error.cause).toBeUndefined();
  });

  test('a request off the configured origin or path is not made', async () => {
    const other = await startServer([{ body: {} }]);
    const own = await startServer([{ body: {} }]);
    for (const target of [`${other.origin}/v1/x`, `${own.origin}/v2/x`, `${own.origin}/v1/../x`]) {
      const fetching = (settings: VendorSettings): VendorModel => ({
        generate: async () => {
          await settings.fetch(target);
          return unused();
        },
        stream: unused,
      });
      const error = await errorOf(providerOver(fetching, `${own.origin}/v1`).provider);
      expect(error.code).toBe('PROVIDER_HTTP_ERROR');
      expect(error.details).toMatchObject({ reason: 'origin refused' });
    }
    expect([...other.received, ...own.received]).toEqual([]);
    await Promise.all([other.close(), own.close()]);
  });
});
