// What a hostile server can do to a call, and what it cannot do to anybody else.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { Question, Reply } from '../../src/kernel/execution/executor.ts';
import { verifies } from '../e2e/verifies.ts';
import { freshSignal, hostile, isAlive, probe, server, script, until, withBench } from './fixtures.ts';

const ANY = { execution: { pinDigest: 'sha256:any' } };

test.each([
  ['giant-line', 'more than 1048576 bytes'],
  ['endless-cursor', 'more than 64 pages'],
  ['many-tools', 'bytes'],
  ['relist', 'do not stop changing'],
])('a list that is %s is refused before any call', async (how, why) => {
  await withBench([hostile(how)], async ({ call, downstreams }) => {
    const result = await call('hostile:run', {}, ANY);
    expect(result).toMatchObject({ code: 'DOWNSTREAM_UNAVAILABLE', sideEffect: 'not_executed' });
    expect((result as { message: string }).message).toContain(why);
    expect(downstreams.connection('hostile')!.state()).toMatchObject({ state: 'failed' });
  });
});

test('more tools than configured are refused, also in one small message', async () => {
  await withBench([hostile('many-tools', { maxMessageBytes: 64 * 1024 * 1024 })], async ({ call }) => {
    const result = await call('hostile:run', {}, ANY);
    expect(result).toMatchObject({ sideEffect: 'not_executed' });
    expect((result as { message: string }).message).toContain('more than 200 tools');
  });
});

test.each([
  ['half-frame', 'SUBPROCESS_TRANSPORT_FAILED'],
  ['deep', 'SUBPROCESS_PROTOCOL_ERROR'],
  ['duplicate-key', 'SUBPROCESS_PROTOCOL_ERROR'],
])('an answer that is %s is a failure of unknown effect', async (how, code) => {
  await withBench([hostile(how)], async ({ call }) => {
    expect(await call('hostile:run')).toMatchObject({
      kind: 'failed',
      code,
      sideEffect: 'side_effect_unknown',
    });
  });
});

test.each(['wrong-id', 'late-reply'])(
  'replies that nobody waits for (%s) are dropped and counted',
  async (how) => {
    await withBench([hostile(how)], async ({ call, downstreams }) => {
      const session = await downstreams.connection('hostile')!.session(freshSignal());
      const text = how === 'wrong-id' ? 'right' : 'first';
      expect(await call('hostile:run')).toMatchObject({ kind: 'result', content: [{ type: 'text', text }] });
      await until(() => session.oddities() === 1);
      expect(await call('hostile:run')).toMatchObject({ kind: 'result', content: [{ type: 'text', text }] });
    });
  },
);

test("a server's requests for roots and sampling are refused", async () => {
  await withBench([hostile('asks')], async ({ call }) => {
    const content = [{ type: 'text', text: 'ask-1:-32601 ask-2:-32601' }];
    expect(await call('hostile:run')).toMatchObject({ kind: 'result', content });
  });
});

test('of two questions under one id the first is put to a person, the other is nobody’s', async () => {
  await withBench([hostile('same-id'), { ...probe(), name: 'good' }], async ({ call }) => {
    const asked: string[] = [];
    const ask = async ({ message }: Question): Promise<Reply> => {
      asked.push(message);
      expect(await call('good:echo', { text: 'still here' })).toMatchObject({ kind: 'result' });
      return { action: 'decline' };
    };
    const result = await call('hostile:run', {}, { ask });
    const content = [{ type: 'text', text: 'ask:cancel ask:decline' }];
    expect(result).toMatchObject({ kind: 'result', content });
    expect(asked).toEqual(['One?']);
  });
});

test('a form that would take ages to check is shown to nobody, and said so on record', async () => {
  await withBench([hostile('explodes')], async ({ call, store }) => {
    const ask = (): never => {
      throw new Error('nobody may be asked');
    };
    const content = [{ type: 'text', text: ' ask:cancel' }];
    expect(await call('hostile:run', {}, { ask })).toMatchObject({ kind: 'result', content });
    const { items } = await store.list({ kind: 'capability_session', tenant: 't', limit: 1 });
    const key = { tenant: 't', aggregate: 'capability_session', id: items[0]?.id ?? '' } as const;
    expect((await store.read(key)).at(-1)).toMatchObject({
      header: { type: 'capability_request_refused' },
      evidence: { value: { why: expect.stringContaining('cannot be checked') as unknown } },
    });
  });
});

test.each([
  ['a pattern without end', { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } }],
  ['references that double', doubling(40)],
  ['five hundred levels', nested(500)],
])('a tool whose outputSchema explodes by %s is not called', async (_what, schema) => {
  const file = join(mkdtempSync(join(tmpdir(), 'schema-')), 'tools.json');
  const tool = { name: 'run', description: 'A tool.', inputSchema: { type: 'object' } };
  writeFileSync(file, JSON.stringify([{ ...tool, outputSchema: schema }]));
  const exploding = server('hostile', [script('hostile'), 'listed', file]);
  await withBench([exploding, { ...probe(), name: 'good' }], async ({ call, downstreams }) => {
    const attacked = call('hostile:run').catch((thrown: unknown) => thrown);
    expect(await call('good:echo', { text: 'still here' })).toMatchObject({ kind: 'result' });
    const result = await attacked;
    expect(result).not.toMatchObject({ kind: 'result' });
    expect(downstreams.connection('good')!.state()).toMatchObject({ state: 'ready', failures: 0 });
  });
  rmSync(dirname(file), { recursive: true });
});

/** Each definition names the next one twice. */
function doubling(levels: number): JsonObject {
  const $defs = Object.fromEntries(
    Array.from({ length: levels }, (_, at): [string, JsonObject] => {
      const next = at === levels - 1 ? { type: 'string' } : { $ref: `#/$defs/d${at + 1}` };
      return [`d${at}`, { anyOf: [next, { type: 'array', items: next }] }];
    }),
  );
  return { type: 'object', properties: { a: { $ref: '#/$defs/d0' } }, $defs };
}

function nested(levels: number): JsonObject {
  let schema: JsonObject = { type: 'string' };
  for (let level = 0; level < levels; level++) schema = { type: 'array', items: schema };
  return { type: 'object', properties: { a: schema } };
}

verifies(
  { partial: ['CI-07'] },
  'a tool name that is claimed twice is refused for both, the others stay',
  async () => {
    await withBench([hostile('duplicate-tool')], async ({ downstreams }) => {
      const session = await downstreams.connection('hostile')!.session(freshSignal());
      const list = await session.tools(freshSignal());
      expect(list.tools.map(({ name }) => name)).toEqual(['other']);
      expect(list.refused).toEqual([
        { name: 'run', why: 'its name is claimed more than once' },
        { name: 'run', why: 'its name is claimed more than once' },
      ]);
    });
  },
);

test('a server that does not read its input does not fill our memory', async () => {
  await withBench([hostile('no-reader', { maxMessageBytes: 200_000 })], async ({ call }) => {
    const text = 'x'.repeat(100_000);
    const over = { capability: { timeoutSeconds: 2 } };
    const results = await Promise.all(Array.from({ length: 20 }, () => call('hostile:run', { text }, over)));
    const unsent = results.filter(
      (result) => result.kind === 'failed' && result.sideEffect === 'not_executed',
    );
    const unknown = results.filter((result) => result.kind === 'failed' && result.code === 'TOOL_TIMEOUT');
    expect(unsent.length).toBeGreaterThan(0);
    expect(unknown.length).toBeGreaterThan(0);
    expect(unsent.length + unknown.length).toBe(20);
    expect((unsent[0] as { message: string }).message).toContain('does not read its input');
  });
});

test('a few lines that are no messages are forgiven, many are not', async () => {
  const polite = server('polite', [script('hostile'), 'plain', '--banner']);
  await withBench([polite, probe({}, '--garbage')], async ({ call, downstreams }) => {
    expect(await call('polite:run')).toMatchObject({ kind: 'result' });
    const session = await downstreams.connection('polite')!.session(freshSignal());
    expect(session.oddities()).toBe(1);
    const result = await call('probe:echo', { text: 'x' }, ANY);
    expect(result).toMatchObject({ code: 'DOWNSTREAM_UNAVAILABLE', sideEffect: 'not_executed' });
    expect((result as { message: string }).message).toContain('lines that are no messages');
  });
});

test('a server that answers may print beside it for as long as it lives', async () => {
  await withBench([hostile('chatty')], async ({ call, downstreams }) => {
    const first = await downstreams.connection('hostile')!.session(freshSignal());
    for (let round = 0; round < 3; round++)
      expect(await call('hostile:run')).toMatchObject({ kind: 'result' });
    expect(first.oddities()).toBe(75);
    expect(downstreams.connection('hostile')!.state()).toMatchObject({ state: 'ready', failures: 0 });
  });
});

test('a flood of messages ends its own connection, and another server goes on as before', async () => {
  await withBench([probe({}, '--flood'), { ...probe(), name: 'good' }], async ({ call, downstreams }) => {
    const flooded = call('probe:echo', { text: 'x' }, ANY);
    expect(await call('good:echo', { text: 'still here' })).toMatchObject({ kind: 'result' });
    expect(await flooded).toMatchObject({ kind: 'failed', sideEffect: 'not_executed' });
    await until(() => downstreams.connection('probe')!.state().state === 'failed');
    expect(downstreams.connection('good')!.state()).toMatchObject({ state: 'ready', failures: 0 });
  });
});

test('a child that is deaf, and one that has children, leave nothing behind', async () => {
  await withBench(
    [{ ...hostile('deaf'), name: 'deaf' }, hostile('child')],
    async ({ call, downstreams, stderr }) => {
      expect(await call('deaf:run')).toMatchObject({ kind: 'result' });
      expect(await call('hostile:run')).toMatchObject({ kind: 'result' });
      await until(() => stderr.length > 0);
      const grandchild = Number(/child (\d+)/.exec(stderr.join('\n'))?.[1]);
      const deaf = (await downstreams.connection('deaf')!.session(freshSignal())).pid;
      expect([grandchild, deaf].map(isAlive)).toEqual([true, true]);
      await downstreams.close();
      await until(() => !isAlive(grandchild));
      expect(isAlive(deaf)).toBe(false);
    },
  );
});

const MIB = 1024 * 1024;

test.each([
  ['big-answer', 'more than 1048576 bytes'],
  ['garbage', 'unasked lines a second'],
  ['strays', 'unasked lines a second'],
  ['progress-flood', 'unasked lines a second'],
])(
  'a call that is answered by %s without end fails alone, at once and in bounded memory',
  async (how, why) => {
    await withBench([hostile(how), { ...probe(), name: 'good' }], async ({ call, downstreams }) => {
      await call('good:echo', { text: 'warm' });
      const pid = (await downstreams.connection('hostile')!.session(freshSignal())).pid;
      const before = process.memoryUsage().rss;
      let seen = 0;
      const attacked = call('hostile:run', {}, { progress: () => seen++ });
      expect(await call('good:echo', { text: 'still here' })).toMatchObject({ kind: 'result' });
      const result = await attacked;
      expect(result).toMatchObject({
        kind: 'failed',
        code: 'SUBPROCESS_PROTOCOL_ERROR',
        sideEffect: 'side_effect_unknown',
      });
      expect((result as { message: string }).message).toContain(why);
      expect(seen).toBeLessThanOrEqual(1000);
      expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB);
      await until(() => !isAlive(pid));
      expect(downstreams.connection('good')!.state()).toMatchObject({ state: 'ready', failures: 0 });
    });
  },
);

test('a line that passes a bound of 50 MB is refused there, not where it ends', async () => {
  await withBench([hostile('big-answer', { maxMessageBytes: 50 * MIB })], async ({ call, sandbox }) => {
    const result = await call('hostile:run');
    expect(result).toMatchObject({ code: 'SUBPROCESS_PROTOCOL_ERROR', sideEffect: 'side_effect_unknown' });
    await until(() => sandbox.live() === 0);
  });
});
