// How questions of a server reach a client of either era: under the server's own keys, in its order, and only where the
// client says that it can answer them.
import type { ServerContext } from '@modelcontextprotocol/server';
import { expect, test } from 'vitest';
import type { Question } from '../../src/kernel/execution/executor.ts';
import { answerable, askResult, RequestAsker, returnedReplies } from '../../src/server/ask.ts';
import type { AskParts } from '../../src/server/ask.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';

const COMMON = { capabilitySessionId: 'cap', server: 'files', message: 'Who?', openUntil: 1e12 };
const FORM = { mode: 'form', schema: { type: 'object', properties: {} } } as const;
const ALL: Question[] = [
  { ...COMMON, ...FORM, id: 'q1', key: 'who' },
  { ...COMMON, id: 'q2', key: 'poem', mode: 'sampling', params: { messages: [], maxTokens: 5 } },
  { ...COMMON, id: 'q3', key: 'where', mode: 'roots' },
];
const never = new AbortController().signal;
const MODEL = { role: 'assistant', content: { type: 'text', text: 'Roses' }, model: 'm' };

function asker(
  era: 'legacy' | 'modern',
  mcpReq: Record<string, unknown>,
  capabilities = { elicitation: {}, sampling: {}, roots: {} } as object,
): RequestAsker {
  const ctx = { mcpReq: { signal: never, ...mcpReq } } as unknown as ServerContext;
  const client = answerable(capabilities);
  const parts: AskParts = { era, ctx, client, clock: createFakeClock(), waitMs: 1000, beat: () => undefined };
  return new RequestAsker(parts, returnedReplies(ctx, era));
}

function askAll(of: RequestAsker): Promise<unknown[]> {
  return Promise.all(ALL.map((question) => of.ask(question, never)));
}

test('a modern client gets all of them at once, under the keys of their server', async () => {
  const made = asker('modern', { requestState: () => undefined });
  expect(await askAll(made)).toEqual(['returned', 'returned', 'returned']);
  const { inputRequests } = askResult(made.open(), 'state');
  expect(inputRequests).toMatchObject({
    who: { method: 'elicitation/create', params: { message: 'files asks: Who?' } },
    poem: { method: 'sampling/createMessage', params: { maxTokens: 5 } },
    where: { method: 'roots/list' },
  });
});

test('what comes back counts for the question under its key; one that is left out is asked for again', async () => {
  const inputs = ALL.map(({ id, key }) => ({ id, key }));
  const inputResponses = {
    who: { action: 'accept', content: { name: 'Ada' } },
    poem: MODEL,
    other: { action: 'accept' },
  };
  const made = asker('modern', { requestState: () => ({ inputs }), inputResponses });
  expect(await askAll(made)).toEqual([
    { action: 'accept', content: { name: 'Ada' } },
    { action: 'accept', content: MODEL },
    'returned',
  ]);
  expect(made.open().map(({ key }) => key)).toEqual(['where']);
  expect(await made.ask(ALL[0]!, never)).toBe('returned');
});

test('replies without a state of ours count for nothing', async () => {
  const inputResponses = { who: { action: 'accept', content: { name: 'Ada' } } };
  const made = asker('modern', { requestState: () => undefined, inputResponses });
  expect(await made.ask(ALL[0]!, never)).toBe('returned');
});

test('a client without a model or roots is not asked for them, and the lack of a model is known', async () => {
  const made = asker('modern', { requestState: () => undefined }, { elicitation: {} });
  const notShown = { action: 'cancel', why: 'not_shown' };
  expect(await askAll(made)).toEqual(['returned', notShown, notShown]);
  expect(made.lacksSampling()).toBe(true);
  const lends = asker('modern', { requestState: () => undefined });
  await askAll(lends);
  expect(lends.lacksSampling()).toBe(false);
});

test('a legacy client is asked one thing at a time', async () => {
  const sent: { method: string; answer: (result: unknown) => void }[] = [];
  const send = ({ method }: { method: string }): Promise<unknown> =>
    new Promise((answer) => sent.push({ method, answer }));
  const asking = askAll(asker('legacy', { send }));
  const answers = [{ action: 'decline' }, MODEL, { roots: [] }];
  for (const [at, answer] of answers.entries()) {
    await expect.poll(() => sent.length).toBe(at + 1);
    sent[at]!.answer(answer);
  }
  expect(sent.map(({ method }) => method)).toEqual([
    'elicitation/create',
    'sampling/createMessage',
    'roots/list',
  ]);
  expect(await asking).toEqual([
    { action: 'decline' },
    { action: 'accept', content: MODEL },
    { action: 'accept', content: { roots: [] } },
  ]);
});
