// Two who subscribe to one resource on one connection at the same time, and a server that takes its time.
import type { Client } from '@modelcontextprotocol/client';
import { expect, test } from 'vitest';
import { SessionReads } from '../../src/capabilities/reads/session-reads.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';

interface Asked {
  method: string;
  settle: (failure?: Error) => void;
}

function reads(): { reads: SessionReads; asked: Asked[] } {
  const asked: Asked[] = [];
  const client = {
    getProtocolEra: () => 'legacy',
    request: ({ method }: { method: string }, _schema: unknown, options?: { signal?: AbortSignal }) =>
      new Promise((resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(new Error('told to stop')));
        asked.push({ method, settle: (failure) => (failure ? reject(failure) : resolve({})) });
      }),
  } as unknown as Client;
  const parts = { client, server: 'docs', clock: createFakeClock(), limitMs: 1000 };
  return { reads: new SessionReads(parts), asked };
}

const URI = 'docs://a';
const never = new AbortController().signal;

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('one who leaves while the server is asked takes nothing from the other', async () => {
  const { reads: made, asked } = reads();
  const leaving = new AbortController();
  const first = made.subscribe(URI, leaving.signal);
  const second = made.subscribe(URI, never);
  leaving.abort();
  await expect(first).rejects.toThrow();
  asked[0]?.settle();
  await second;
  made.unsubscribe(URI);
  await turns();
  expect(asked.map(({ method }) => method)).toEqual(['resources/subscribe', 'resources/unsubscribe']);
});

test('what the server refuses is refused to everybody who waits for it, and asked for anew', async () => {
  const { reads: made, asked } = reads();
  const both = [made.subscribe(URI, never), made.subscribe(URI, never)];
  const outcomes = Promise.allSettled(both);
  asked[0]?.settle(new Error('no such resource'));
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const again = made.subscribe(URI, never);
  await turns();
  asked[1]?.settle();
  await again;
  expect(asked.map(({ method }) => method)).toEqual(['resources/subscribe', 'resources/subscribe']);
});

test('when nobody waits any more the server is told to stop', async () => {
  const { reads: made, asked } = reads();
  const leaving = new AbortController();
  const only = made.subscribe(URI, leaving.signal);
  leaving.abort();
  await expect(only).rejects.toThrow();
  await turns();
  const again = made.subscribe(URI, never);
  await turns();
  asked[1]?.settle();
  await again;
});
