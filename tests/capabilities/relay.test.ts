// What a server asks, reports and logs in the middle of a call: over stdio and HTTP, in both eras, on record in order.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { DownstreamServer } from '../../src/config/types.ts';
import type { ExecutionResult, Question, Reply } from '../../src/kernel/execution/executor.ts';
import type { StoredRecord } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { createBench, server, until, withBench } from './fixtures.ts';
import type { Bench } from './fixtures.ts';
import { httpRelay } from './http-relay.ts';

const SCRIPT = fileURLToPath(new URL('../matrix/relay-server.mjs', import.meta.url));

function text(result: ExecutionResult): unknown {
  return result.kind === 'result' ? result.content[0]?.['text'] : result;
}

async function journal(bench: Bench): Promise<StoredRecord[]> {
  const { items } = await bench.store.list({ kind: 'capability_session', tenant: 't', limit: 10 });
  const ids = items.map(({ id }) => id);
  const all = await Promise.all(
    ids.map((id) => bench.store.read({ tenant: 't', aggregate: 'capability_session', id })),
  );
  return all.flat();
}

function evidence(record: StoredRecord | undefined): JsonObject {
  return record?.evidence.state === 'present' ? record.evidence.value : {};
}

const WAYS: [string, DownstreamServer['era'], 'stdio' | 'http'][] = [
  ['stdio', 'legacy', 'stdio'],
  ['stdio', 'modern', 'stdio'],
  ['http', 'legacy', 'http'],
  ['http', 'modern', 'http'],
];

async function withRelay(
  way: 'stdio' | 'http',
  over: Partial<DownstreamServer>,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  if (way === 'stdio') return withBench([server('relay', [SCRIPT], over)], use);
  const http = await httpRelay();
  try {
    await withBench([http.server(over)], use);
  } finally {
    await http.close();
  }
}

describe.each(WAYS)('a server over %s that speaks the %s protocol', (_name, era, way) => {
  const answers: [string, Reply, string][] = [
    ['accept', { action: 'accept', content: { name: 'Ada', age: 36 } }, 'accepted'],
    ['decline', { action: 'decline' }, 'declined'],
    ['cancel', { action: 'cancel' }, 'canceled'],
  ];
  test.each(answers)('asks by form, and gets %s', async (_how, reply, recorded) => {
    await withRelay(way, { era }, async (bench) => {
      const asked: Question[] = [];
      const result = await bench.call(
        'relay:ask',
        {},
        {
          ask: async (question) => {
            asked.push(question);
            const row = await bench.store.list({ kind: 'capability_session', tenant: 't', limit: 1 });
            expect(row.items[0]?.status).toBe('waiting_for_input');
            return reply;
          },
        },
      );
      expect(JSON.parse(String(text(result)))).toEqual(reply);
      expect(asked).toMatchObject([{ mode: 'form', message: 'Who are you?', server: 'relay' }]);
      const records = await journal(bench);
      const types = records.map(({ header }) => header.type);
      expect(types).toEqual([
        'capability_session_opened',
        'capability_input_requested',
        'capability_input_closed',
      ]);
      expect(evidence(records[1])).toMatchObject({ message: 'Who are you?', schema: { required: ['name'] } });
      expect(evidence(records[2])).toMatchObject({ how: recorded, action: reply.action });
    });
  });

  verifies(
    ['CS-05'],
    'a question pauses the session, its schema is kept, and the run goes on with the first answer that fits',
    async () => {
      await withRelay(way, { era }, async (bench) => {
        const stood: unknown[] = [];
        const given: Reply[] = [
          { action: 'accept', content: { age: 36 } },
          { action: 'accept', content: { name: 'Ada', age: 36 } },
        ];
        const ask = async (): Promise<Reply> => {
          const { items } = await bench.store.list({ kind: 'capability_session', tenant: 't', limit: 1 });
          stood.push(items[0]?.status);
          return given[stood.length - 1] ?? { action: 'cancel' };
        };
        const result = await bench.call('relay:ask', {}, { ask });
        expect(JSON.parse(String(text(result)))).toEqual(given[1]);
        await bench.settled();
        const { items } = await bench.store.list({ kind: 'capability_session', tenant: 't', limit: 1 });
        expect([...stood, items[0]?.status]).toEqual([
          'waiting_for_input',
          'waiting_for_input',
          'in_progress',
        ]);
        const records = await journal(bench);
        const asked = records.find(({ header }) => header.type === 'capability_input_requested');
        expect(evidence(asked)).toMatchObject({ message: 'Who are you?', schema: { required: ['name'] } });
        expect(evidence(records.at(-1))).toMatchObject({ how: 'accepted' });
      });
    },
  );

  test('sends to an address, which stands in the record without its query', async () => {
    await withRelay(way, { era }, async (bench) => {
      const result = await bench.call('relay:ask_url', {}, { ask: async () => ({ action: 'accept' }) });
      expect(JSON.parse(String(text(result)))).toEqual({ action: 'accept' });
      const records = await journal(bench);
      expect(JSON.stringify(records)).not.toContain('s3cret');
      expect(evidence(records[1])).toMatchObject({ url: 'https://example.test/visit?…' });
    });
  });

  test('an answer that does not fit is asked for once more, and then is a cancel', async () => {
    await withRelay(way, { era }, async (bench) => {
      let asked = 0;
      const wrong = async (): Promise<Reply> => {
        asked++;
        return { action: 'accept', content: { name: 'x'.repeat(21) } };
      };
      const result = await bench.call('relay:ask', {}, { ask: wrong });
      expect(JSON.parse(String(text(result)))).toEqual({ action: 'cancel' });
      expect(asked).toBe(2);
      expect(evidence((await journal(bench)).at(-1))).toMatchObject({ how: 'invalid_answer' });
    });
  });

  test('a form that is too large is shown to nobody', async () => {
    await withRelay(way, { era }, async (bench) => {
      const ask = (): never => {
        throw new Error('nobody may be asked');
      };
      const result = await bench.call('relay:ask_much', {}, { ask });
      expect(JSON.parse(String(text(result)))).toEqual({ action: 'cancel' });
      expect((await journal(bench)).at(-1)?.header.type).toBe('capability_request_refused');
    });
  });

  test('progress and log lines are on record in order', async () => {
    await withRelay(way, { era }, async (bench) => {
      const heard: number[] = [];
      await bench.call('relay:progress', { steps: 5 }, { progress: ({ progress }) => heard.push(progress) });
      expect(heard).toEqual([1, 2, 3, 4, 5]);
      const items = (await journal(bench)).flatMap((one) => (evidence(one)['items'] ?? []) as JsonObject[]);
      expect(items.map(({ progress }) => progress)).toEqual([1, 2, 3, 4, 5]);
    });
  });
});

test('without anybody to ask the server hears a cancel, and the record says why', async () => {
  await withRelay('stdio', { era: 'legacy' }, async (bench) => {
    expect(JSON.parse(String(text(await bench.call('relay:ask'))))).toEqual({ action: 'cancel' });
    expect(evidence((await journal(bench)).at(-1))).toMatchObject({ how: 'not_shown' });
  });
});

test('while a question is open the deadline of the call stands still', async () => {
  await withRelay('stdio', { era: 'legacy' }, async (bench) => {
    const result = await bench.call(
      'relay:ask',
      {},
      {
        capability: { timeoutSeconds: 1 },
        ask: async () => {
          await new Promise((resolve) => setTimeout(resolve, 1500));
          return { action: 'decline' };
        },
      },
    );
    expect(JSON.parse(String(text(result)))).toEqual({ action: 'decline' });
  });
});

test('two calls at once on one connection: a question belongs to neither, and afterwards they run one by one', async () => {
  await withRelay('stdio', { era: 'legacy' }, async (bench) => {
    let open = 0;
    let most = 0;
    const ask = async (): Promise<Reply> => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
      return { action: 'decline' };
    };
    const both = async (): Promise<unknown[]> =>
      (await Promise.all([1, 2].map(() => bench.call('relay:ask', {}, { ask })))).map(
        (one) => JSON.parse(String(text(one))) as unknown,
      );
    await both();
    expect(await both()).toEqual([{ action: 'decline' }, { action: 'decline' }]);
    expect(most).toBe(1);
  });
});

test('one principal never gets the connection of another', async () => {
  const bench = createBench([server('relay', [SCRIPT], { era: 'legacy' })]);
  try {
    await bench.call('relay:echo', { text: 'a' });
    const mine = bench.downstreams.lease('relay', { tenant: 't', principal: 'p' })!;
    const other = bench.downstreams.lease('relay', { tenant: 't', principal: 'q' })!;
    expect(other.connection).not.toBe(mine.connection);
    expect(other.poolKey).not.toBe(mine.poolKey);
    mine.end();
    other.end();
  } finally {
    await bench.end();
  }
});

test('while a person thinks, other calls of the same connection go on', async () => {
  await withRelay('stdio', { era: 'legacy' }, async (bench) => {
    let answer = (_reply: Reply): void => undefined;
    const thinking = new Promise<Reply>((resolve) => {
      answer = resolve;
    });
    let isAsked = false;
    const asking = bench.call(
      'relay:ask',
      {},
      {
        ask: () => {
          isAsked = true;
          return thinking;
        },
      },
    );
    await until(() => isAsked);
    expect(text(await bench.call('relay:echo', { text: 'meanwhile' }))).toBe('meanwhile');
    answer({ action: 'decline' });
    expect(JSON.parse(String(text(await asking)))).toEqual({ action: 'decline' });
    expect(text(await bench.call('relay:echo', { text: 'after' }))).toBe('after');
  });
});

test('a call that is canceled while its person thinks leaves the connection to the next', async () => {
  await withRelay('stdio', { era: 'legacy' }, async (bench) => {
    const stop = new AbortController();
    const ask = (): Promise<Reply> => {
      stop.abort();
      return new Promise(() => undefined);
    };
    const result = await bench.call('relay:ask', {}, { ask, signal: stop.signal });
    expect(result).toMatchObject({ code: 'CANCELED', sideEffect: 'side_effect_unknown' });
    expect(text(await bench.call('relay:echo', { text: 'after' }))).toBe('after');
    expect(JSON.parse(String(text(await bench.call('relay:ask', {}, { ask: declines }))))).toEqual({
      action: 'decline',
    });
  });
});

async function declines(): Promise<Reply> {
  return { action: 'decline' };
}

test('a call whose turn never came was not executed', async () => {
  await withRelay('stdio', { era: 'legacy' }, async (bench) => {
    await bench.call('relay:ask', {}, { ask: declines });
    const stop = new AbortController();
    const slow = bench.call(
      'relay:slow',
      { ms: 60_000, file: join(bench.directory, 'slow') },
      { signal: stop.signal },
    );
    await until(() => existsSync(join(bench.directory, 'slow')));
    const second = await bench.call('relay:ask', {}, { ask: declines, capability: { timeoutSeconds: 1 } });
    expect(second).toMatchObject({ code: 'TOOL_TIMEOUT', sideEffect: 'not_executed' });
    stop.abort();
    expect(await slow).toMatchObject({ code: 'CANCELED', sideEffect: 'side_effect_unknown' });
  });
});
