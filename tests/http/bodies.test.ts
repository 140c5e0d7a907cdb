// What a body may hold is judged before either era's handlers see it: as a line of stdio is, and over a joined runtime, so
// that what a refusal leaves behind can be counted.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { HTTP_DEFAULTS } from '../http-defaults.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { serveRuntimeHttp } from '../../src/server/http/serve.ts';
import { judgeBytes } from '../../src/server/line-guard.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { capability, sampleConfig } from '../kernel/sample-config.ts';
import {
  ALICE,
  ALICE_TOKEN,
  ask,
  AUTH,
  entry,
  head,
  initialize,
  modern,
  raw,
  request,
  tokens,
} from './rig.ts';
import type { Answer, Ask } from './rig.ts';

interface Place {
  url: string;
  port: number;
  effects: unknown[];
  /** Everything that is in the journal. */
  recorded(): Promise<number>;
  /** Time enough for a person to read a question. */
  read(): void;
}

async function place(): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'bodies-'));
  const clock = createFakeClock();
  const store = createMemoryStore();
  const effects: unknown[] = [];
  const pay = capability('pay', { mode: 'write', risk: 'medium', approval: { approver: 'principal' } });
  const runtime = await createRuntime({
    config: sampleConfig({
      capabilities: [capability('look'), pay],
      policy: { registry: { allowed: ['look', 'pay'], denied: [] } },
    }),
    ...{ workspace: root, stateDirectory: join(root, 'state'), env: {}, clock, store },
    executors: [
      {
        transports: ['in_process'],
        execute({ args }) {
          effects.push(args);
          const content = [{ type: 'text', text: 'done' }];
          return Promise.resolve({ kind: 'result', content, isError: false, notes: [] });
        },
      },
    ],
  });
  const server = await serveRuntimeHttp({
    ...{ runtime, clock, ids: randomIds, log: () => undefined, host: '127.0.0.1', port: 0, path: '/mcp' },
    options: { tools: 'all', toolNames: 'canonical', version: '1' },
    tokens: tokens(() => clock.now(), [entry('tok_alice', ALICE_TOKEN, ALICE)]),
    stateKeys: { current: new Uint8Array(32).fill(1) },
    settings: HTTP_DEFAULTS,
  });
  onTestFinished(async () => {
    await server.close();
    await runtime.close();
    await rm(root, { recursive: true, force: true });
  });
  return {
    url: server.url,
    port: Number(new URL(server.url).port),
    effects,
    recorded: async () => (await store.scan({ limit: 1000 })).length,
    read: () => clock.advance(1500),
  };
}

type Body = string | Uint8Array;

interface Client {
  /** Sends these bytes as the body of a call of `look`. */
  send(body: Body): Promise<Answer>;
  /** A call with this text as its arguments. */
  call(args: string): string;
}

const ERAS: Record<string, (at: Place) => Promise<Client>> = {
  async 'a session of the older era'(at) {
    const sessionId = (await ask(at, { body: initialize() })).headers['mcp-session-id'] ?? '';
    return {
      send: (body) => ask(at, { sessionId, body }),
      call: (args) => withArguments(request('tools/call', { name: 'look', arguments: 'HERE' }, 7), args),
    };
  },
  'the modern era': (at) => {
    const { headers, body: whole } = modern('tools/call', { name: 'look', arguments: 'HERE' });
    return Promise.resolve({
      send: (body) => ask(at, { ...(headers === undefined ? {} : { headers }), body }),
      call: (args) => withArguments({ ...(whole as object), id: 7 }, args),
    });
  },
};

function withArguments(call: object, args: string): string {
  return JSON.stringify(call).replace('"HERE"', args);
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

interface Bad {
  make(call: Client['call']): Body;
  code: number;
  message: string;
  id: number | null;
}

function bad(code: number, message: string, make: Bad['make'], id: Bad['id'] = 7): Bad {
  return { code, message, make, id };
}

function twice(key: string): string {
  return `Invalid request: the key ${JSON.stringify(key)} stands twice in one object`;
}

const ONE_MESSAGE = 'Invalid request: the body is not one JSON-RPC 2.0 message';
const BATCH = 'Invalid request: batches are not taken; send each message by itself';
const RESERVED = 'Invalid request: __proto__ is a reserved key';
const NOT_JSON = 'Parse error: the body is not JSON';

const BAD: Record<string, Bad> = {
  'a doubled argument': bad(-32_600, twice('n'), (call) => call('{"n":1,"n":2}')),
  'a doubled argument in another spelling': bad(-32_600, twice('n'), (call) => call('{"n":1,"\\u006e":2}')),
  'a doubled key far inside': bad(-32_600, twice('a'), (call) => call('{"n":[[{"b":{"a":1,"a":1}}]]}')),
  'a doubled key that is called as the body is not': bad(-32_600, twice('the line'), (call) =>
    call('{"the line":1,"the line":2}'),
  ),
  'two methods': bad(-32_600, twice('method'), (call) =>
    call('{}').replace('"method":', '"method":"tools/list","method":'),
  ),
  'two ids': bad(-32_600, twice('id'), (call) => call('{}').replace('"id":', '"id":8,"id":'), null),
  'two ids of an argument': bad(-32_600, twice('id'), (call) => call('{"id":1,"id":2}')),
  nesting: bad(-32_600, 'Invalid request: the text is nested deeper than 64 levels', (call) =>
    call(`{"n":${nested(70)}}`),
  ),
  'a prototype key': bad(-32_600, RESERVED, (call) => call('{"__proto__":{"admin":true}}')),
  'an escaped prototype key': bad(-32_600, RESERVED, (call) => call('{"\\u005f_proto__":{"admin":true}}')),
  'a batch of one': bad(-32_600, BATCH, (call) => `[${call('{"n":1}')}]`, null),
  'an empty batch': bad(-32_600, BATCH, () => '[]', null),
  'another version of JSON-RPC': bad(-32_600, ONE_MESSAGE, (call) =>
    call('{"n":1}').replace('"2.0"', '"1.0"'),
  ),
  'a message that is two': bad(-32_600, ONE_MESSAGE, (call) => call('{}').replace('{', '{"result":{},')),
  'a number': bad(-32_600, ONE_MESSAGE, () => '7', null),
  'two messages': bad(-32_700, NOT_JSON, (call) => `${call('{"n":1}')}\n${call('{"n":2}')}`, null),
  'cut JSON': bad(-32_700, NOT_JSON, (call) => call('{"n":1}').slice(0, -1), null),
  nothing: bad(-32_700, 'Parse error: the body is empty', () => '', null),
  'bytes that are not UTF-8': bad(
    -32_700,
    'Parse error: the body is not UTF-8',
    (call) => Buffer.from(call('{"n":"\xff"}'), 'latin1'),
    null,
  ),
};

describe.each(Object.entries(ERAS))('a body in %s', (_era, open) => {
  test.each(Object.entries(BAD))('with %s is refused, and nothing has happened', async (_what, one) => {
    const at = await place();
    const { send, call } = await open(at);
    const before = await at.recorded();
    const answer = await send(one.make(call));
    const { code, message, id } = one;
    expect([answer.status, answer.body]).toEqual([400, { jsonrpc: '2.0', error: { code, message }, id }]);
    expect(answer.headers['content-type']).toBe('application/json');
    expect([at.effects, await at.recorded()]).toEqual([[], before]);
    const good = await send(call('{"n":1}'));
    expect([good.status, good.body.result?.isError]).toEqual([200, undefined]);
    expect(at.effects).toEqual([{ n: 1 }]);
  });

  test('that is long and holds an escaped letter is taken like any other', async () => {
    const at = await place();
    const { send, call } = await open(at);
    const word = 'a'.repeat(300_000);
    expect(
      (await send(call(`{"n":"caf\\u00e9","rows":[${'0,'.repeat(30_000)}0],"w":"${word}"}`))).status,
    ).toBe(200);
    expect(at.effects).toHaveLength(1);
    expect((await send(call(`{"n":"caf\\u00e9","rows":[${'0,'.repeat(300_000)}0]}`))).status).toBe(200);
  });

  test('reaches the tool as it was sent, whitespace and order and all', async () => {
    const at = await place();
    const { send, call } = await open(at);
    await send(call('{ "b" : 1,\n\t"a" : "ä€𝄞", "n" : [null, -0.5e1, {"b":2,"a":1}] }\r\n'));
    expect(JSON.stringify(at.effects)).toBe('[{"b":1,"a":"ä€𝄞","n":[null,-5,{"b":2,"a":1}]}]');
  });
});

test('a line of stdio is refused in the same words', () => {
  const call: Client['call'] = (args) => withArguments(request('tools/call', { arguments: 'HERE' }, 7), args);
  for (const { make, ...expected } of Object.values(BAD)) {
    const body = make(call);
    const event = judgeBytes(typeof body === 'string' ? Buffer.from(body) : body, 64, 'line');
    const message = expected.message.replace('the body', 'the line');
    expect(event).toEqual({ kind: 'refused', ...expected, message });
  }
});

describe('an answer that says two things', () => {
  const TWO = '{"action":"accept","content":{"decision":"reject","decision":"approve"}}';
  const ONE = '{"action":"accept","content":{"decision":"approve"}}';

  test('is no answer in a session; the question waits for the next', async () => {
    const at = await place();
    const opened = await ask(at, { body: initialize({ elicitation: {} }) });
    const sessionId = opened.headers['mcp-session-id'] ?? '';
    await ask(at, { sessionId, body: { jsonrpc: '2.0', method: 'notifications/initialized' } });
    const text = JSON.stringify(request('tools/call', { name: 'pay', arguments: { n: 1 } }));
    const lines = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
    const call = await raw(at.port);
    call.write(
      head(at.port, [AUTH, `Mcp-Session-Id: ${sessionId}`, ...lines, `Content-Length: ${text.length}`]) +
        text,
    );
    const asked = await call.until('elicitation/create');
    const id = /"id":(\d+)/.exec(asked)?.[1] ?? '';
    const before = await at.recorded();
    at.read();
    const answer = (result: string): Promise<Answer> =>
      ask(at, { sessionId, body: `{"jsonrpc":"2.0","id":${id},"result":${result}}` });
    const refused = await answer(TWO);
    expect([refused.status, refused.body.id]).toEqual([400, null]);
    expect([at.effects, await at.recorded()]).toEqual([[], before]);
    expect((await answer(ONE)).status).toBe(202);
    await call.until('done');
    expect(at.effects).toEqual([{ n: 1 }]);
    call.socket.destroy();
  });

  test('is none in a request that brings it back; what it came with can be used once more', async () => {
    const at = await place();
    const pay = (more: object): Pick<Ask, 'headers' | 'body'> =>
      modern('tools/call', { name: 'pay', arguments: { n: 1 }, ...more });
    const { requestState } = (await ask(at, pay({}))).body.result ?? {};
    const before = await at.recorded();
    at.read();
    const bring = (approval: string): Promise<Answer> => {
      const { body, ...rest } = pay({ requestState, inputResponses: { approval: 'HERE' } });
      return ask(at, { ...rest, body: withArguments(body as object, approval) });
    };
    const refused = await bring(TWO);
    expect([refused.status, refused.body.error?.message]).toEqual([400, twice('decision')]);
    expect([at.effects, await at.recorded()]).toEqual([[], before]);
    expect((await bring(ONE)).body.result?.isError).toBeUndefined();
    expect(at.effects).toEqual([{ n: 1 }]);
  });
});
