// What a server may have of the client behind a call: its model and its roots, where the configuration lends them.
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { CapabilitySessionControls } from '../../src/config/types.ts';
import type { ExecutionResult, Question, Reply } from '../../src/kernel/execution/executor.ts';
import { rootsAnswer, samplingAnswer, samplingParams } from '../../src/capabilities/relay/lent.ts';
import { CallsInFlight } from '../../src/capabilities/relay/calls-in-flight.ts';
import { answerNeeds, answerServer } from '../../src/capabilities/relay/server-requests.ts';
import type { RequestPolicy } from '../../src/capabilities/relay/server-requests.ts';
import { createBench, server } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const SCRIPT = fileURLToPath(new URL('./needing-server.mjs', import.meta.url));
const LENT: Partial<CapabilitySessionControls> = { sampling: 'client', roots: 'client' };
const POEM: JsonObject = { role: 'assistant', content: { type: 'text', text: 'Roses' }, model: 'm' };
const ROOTS: JsonObject = { roots: [{ uri: 'file:///home/ada', name: 'home' }] };

async function withNeeding(
  era: 'legacy' | 'modern',
  over: Partial<CapabilitySessionControls>,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const bench = createBench([server('needing', [SCRIPT], { era })], process.env, systemClock, over);
  try {
    await use(bench);
  } finally {
    await bench.end();
  }
}

function said(result: ExecutionResult): unknown {
  return result.kind === 'result' ? JSON.parse(result.content[0]?.['text'] as string) : result;
}

function replyTo({ mode }: Question): Reply {
  if (mode === 'sampling') return { action: 'accept', content: { ...POEM, secret: 1 } };
  return { action: 'accept', content: mode === 'roots' ? ROOTS : { name: 'Ada' } };
}

async function recorded(bench: Bench): Promise<[string, unknown][]> {
  const { items } = await bench.store.list({ kind: 'capability_session', tenant: 't', limit: 1 });
  const chain = { tenant: 't', aggregate: 'capability_session', id: items[0]?.id ?? '' } as const;
  const records = await bench.store.read(chain);
  return records.map(({ header, evidence }) => [
    header.type,
    evidence.state === 'present' ? evidence.value : undefined,
  ]);
}

describe.each(['legacy', 'modern'] as const)('a server that speaks the %s protocol', (era) => {
  test('gets what its client lends, each on record before it is asked', async () => {
    await withNeeding(era, LENT, async (bench) => {
      const asked: Question[] = [];
      const ask = async (question: Question): Promise<Reply> => {
        asked.push(question);
        return replyTo(question);
      };
      // One at a time: what an older server asks belongs to a call only while nothing else is asked.
      const told = [];
      for (const key of ['who', 'poem', 'where']) {
        told.push(said(await bench.call('needing:need', { keys: [key] }, { ask })));
      }
      expect(told).toEqual([{ who: { name: 'Ada' } }, { poem: POEM }, { where: ROOTS }]);
      expect(asked.map(({ mode }) => mode)).toEqual(['form', 'sampling', 'roots']);
      expect(JSON.stringify(asked)).not.toContain('allServers');
      const types = (await recorded(bench)).map(([type]) => type);
      expect(types.filter((type) => type === 'capability_input_requested')).toHaveLength(3);
      expect(types.filter((type) => type === 'capability_input_closed')).toHaveLength(3);
    });
  });

  test('gets neither where nothing is lent', async () => {
    await withNeeding(era, {}, async (bench) => {
      for (const key of ['poem', 'where']) {
        const result = await bench.call(
          'needing:need',
          { keys: [key] },
          { ask: async (one) => replyTo(one) },
        );
        expect(result).not.toMatchObject({ kind: 'result', isError: false });
      }
    });
  });

  test('hears of a client without a model that there is no answer, and of one without roots that there are none', async () => {
    await withNeeding(era, LENT, async (bench) => {
      const ask = async (): Promise<Reply> => ({ action: 'cancel', why: 'not_shown' });
      const poem = await bench.call('needing:need', { keys: ['poem'] }, { ask });
      expect(poem).not.toMatchObject({ kind: 'result', isError: false });
      expect(said(await bench.call('needing:need', { keys: ['where'] }, { ask }))).toMatchObject({
        where: { roots: [] },
      });
    });
  });
});

test('a modern server that needs several things has them all asked for at once, under its own keys', async () => {
  await withNeeding('modern', LENT, async (bench) => {
    const open: [Question, (reply: Reply) => void][] = [];
    const calling = bench.call(
      'needing:need',
      { keys: ['who', 'poem', 'where'] },
      { ask: (question) => new Promise<Reply>((resolve) => open.push([question, resolve])) },
    );
    await expect.poll(() => open.length).toBe(3);
    expect(open.map(([{ key }]) => key)).toEqual(['who', 'poem', 'where']);
    for (const [question, resolve] of open.reverse()) resolve(replyTo(question));
    expect(said(await calling)).toEqual({ who: { name: 'Ada' }, poem: POEM, where: ROOTS });
  });
});

test('what nobody lends is refused and recorded, whatever the server was told; configured roots are told', async () => {
  const refused: string[] = [];
  const policy: RequestPolicy = {
    elicitation: false,
    sampling: false,
    roots: undefined,
    onRefused: (method) => refused.push(method),
  };
  const ears = { ask: () => Promise.reject(new Error('nobody may be asked')) };
  const methods = ['sampling/createMessage', 'roots/list', 'elicitation/create', 'other/thing'];
  for (const method of methods) {
    await expect(answerNeeds({ it: { method } }, ears, policy)).rejects.toMatchObject({
      code: 'POLICY_DENIED',
    });
    await expect(answerServer({ method }, new CallsInFlight(), policy)).rejects.toMatchObject({
      code: 'POLICY_DENIED',
    });
  }
  expect(refused).toEqual(methods.flatMap((method) => [method, method]));
  const told = { roots: [{ uri: 'file:///sandbox' }] };
  expect(await answerNeeds({ it: { method: 'roots/list' } }, ears, { ...policy, ...told })).toEqual({
    it: told,
  });
});

test('a question to a model goes without tools, without other context, and within bounds', () => {
  const messages = [{ role: 'user', content: { type: 'text', text: 'x' } }];
  expect(samplingParams({ messages, maxTokens: 5, includeContext: 'thisServer', metadata: {} })).toEqual({
    ok: true,
    params: { messages, maxTokens: 5 },
  });
  for (const wrong of [undefined, {}, { messages }, { messages, maxTokens: 5, tools: [] }]) {
    expect(samplingParams(wrong)).toMatchObject({ ok: false });
  }
  const big = [{ role: 'user', content: { type: 'text', text: 'x'.repeat(300_000) } }];
  expect(samplingParams({ messages: big, maxTokens: 5 })).toMatchObject({ ok: false });
});

test('what comes back is a model answer or roots, or nothing', () => {
  expect(samplingAnswer({ ...POEM, _meta: { x: 1 } })).toEqual(POEM);
  for (const wrong of [undefined, {}, { ...POEM, model: 1 }, { ...POEM, content: 'text' }]) {
    expect(samplingAnswer(wrong)).toBeUndefined();
  }
  const odd = [{ uri: 'https://example.test' }, 7, { uri: 'file:///a', name: 3, extra: 1 }];
  expect(rootsAnswer({ roots: odd })).toEqual({ roots: [{ uri: 'file:///a' }] });
  expect(rootsAnswer(undefined)).toEqual({ roots: [] });
});
