// What a hostile server over HTTP can do to a call, and what it cannot do to anybody else.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import { freshSignal, probe, until, withBench } from './fixtures.ts';
import type { Bench } from './fixtures.ts';
import { hostileHttp } from './http-hostile.ts';
import type { HostileHttp } from './http-hostile.ts';

const ANY = { execution: { pinDigest: 'sha256:any' } };
const MIB = 1024 * 1024;

async function withHostile(
  how: string,
  use: (bench: Bench, hostile: HostileHttp) => Promise<void>,
): Promise<void> {
  const hostile = await hostileHttp(how);
  try {
    await withBench([hostile.server(), { ...probe(), name: 'good' }], (bench) => use(bench, hostile));
  } finally {
    await hostile.close();
  }
}

function messageOf(result: object): string {
  return (result as JsonObject)['message'] as string;
}

test.each([
  ['endless-cursor', 'more than 64 pages'],
  ['endless-list', 'more than 1048576 bytes'],
])('a list that is %s is refused before any call', async (how, why) => {
  await withHostile(how, async ({ call }) => {
    const result = await call('hostile:run', {}, ANY);
    expect(result).toMatchObject({ code: 'DOWNSTREAM_UNAVAILABLE', sideEffect: 'not_executed' });
    expect(messageOf(result)).toContain(why);
  });
});

test.each([
  ['garbage-body', 'TOOL_EXECUTION_FAILED', ''],
  ['endless-garbage', 'SUBPROCESS_PROTOCOL_ERROR', 'messages a second'],
  ['half-event', 'SUBPROCESS_TRANSPORT_FAILED', ''],
  ['short-body', 'SUBPROCESS_TRANSPORT_FAILED', ''],
  ['endless-body', 'SUBPROCESS_PROTOCOL_ERROR', 'more than 1048576 bytes'],
  ['endless-event', 'SUBPROCESS_PROTOCOL_ERROR', 'more than 1048576 bytes'],
  ['packed-body', 'SUBPROCESS_PROTOCOL_ERROR', 'more than 1048576 bytes'],
  ['endless-error', 'TOOL_EXECUTION_FAILED', ''],
  ['progress-flood', 'SUBPROCESS_PROTOCOL_ERROR', 'messages a second'],
  ['strays', 'SUBPROCESS_PROTOCOL_ERROR', 'messages a second'],
  ['deep', 'SUBPROCESS_PROTOCOL_ERROR', ''],
  ['doubled-key', 'SUBPROCESS_PROTOCOL_ERROR', 'the key \"content\" stands twice'],
  ['doubled-key-event', 'SUBPROCESS_PROTOCOL_ERROR', 'the key \"content\" stands twice'],
  ['redirect', 'SUBPROCESS_PROTOCOL_ERROR', 'redirect'],
])('a call that is answered by %s fails alone, at once and in bounded memory', async (how, code, why) => {
  await withHostile(how, async ({ call, downstreams }, hostile) => {
    await call('good:echo', { text: 'warm' });
    await downstreams.connection('hostile')!.session(freshSignal());
    const before = process.memoryUsage().rss;
    let seen = 0;
    const attacked = call('hostile:run', {}, { progress: () => seen++ });
    expect(await call('good:echo', { text: 'still here' })).toMatchObject({ kind: 'result' });
    const result = await attacked;
    expect(result).toMatchObject({ kind: 'failed', code, sideEffect: 'side_effect_unknown' });
    expect(messageOf(result)).toContain(why);
    expect(seen).toBeLessThanOrEqual(1000);
    expect(process.memoryUsage().rss - before).toBeLessThan(250 * MIB);
    expect(hostile.strayed).toEqual([]);
    expect(downstreams.connection('good')!.state()).toMatchObject({ state: 'ready', failures: 0 });
  });
});

test('a call that is never answered ends at its deadline', async () => {
  await withHostile('silent', async ({ call }) => {
    expect(await call('hostile:run', {}, { capability: { timeoutSeconds: 1 } })).toMatchObject({
      code: 'TOOL_TIMEOUT',
      sideEffect: 'side_effect_unknown',
    });
  });
});

test('the first answer counts, and another under the same id is counted as nobody’s', async () => {
  await withHostile('repeated-id', async ({ call, downstreams }) => {
    const session = await downstreams.connection('hostile')!.session(freshSignal());
    const content = [{ type: 'text', text: 'first' }];
    expect(await call('hostile:run')).toMatchObject({ kind: 'result', content });
    await until(() => session.oddities() === 1);
    expect(await call('hostile:run')).toMatchObject({ kind: 'result', content });
  });
});

test('a page in the place of an answer fails its call and leaves the connection', async () => {
  await withHostile('page-body', async ({ call, downstreams }) => {
    const connection = downstreams.connection('hostile')!;
    const session = await connection.session(freshSignal());
    const code = 'TOOL_EXECUTION_FAILED';
    expect(await call('hostile:run')).toMatchObject({ kind: 'failed', code });
    expect(await connection.session(freshSignal())).toBe(session);
  });
});

test('what a server sends of its own is looked through whatever it says that it is', async () => {
  await withHostile('untyped-stream', async ({ downstreams }) => {
    const connection = downstreams.connection('hostile')!;
    await connection.session(freshSignal()).catch(() => undefined);
    await until(() => connection.state().state === 'failed');
    expect(connection.state()).toMatchObject({ reason: expect.stringContaining('stands twice') as unknown });
  });
});

test('a server that knows no stream of its own, and none of our ends, is used like any other', async () => {
  await withHostile('no-stream', async ({ call, downstreams }, hostile) => {
    const session = await downstreams.connection('hostile')!.session(freshSignal());
    await until(() => (hostile.seen['GET'] ?? 0) > 0);
    for (let round = 0; round < 2; round++)
      expect(await call('hostile:run')).toMatchObject({ kind: 'result' });
    expect(session.fault()).toBeUndefined();
  });
});

test('an argument that is refused with the word session in it has lost none, and may have run', async () => {
  await withHostile('bad-argument', async ({ call }) => {
    const result = await call('hostile:run');
    expect(result).toMatchObject({ code: 'TOOL_EXECUTION_FAILED', sideEffect: 'side_effect_unknown' });
  });
});

test('a server that hangs up at once on its stream is not asked for it without rest', async () => {
  await withHostile('hang-up', async ({ call }, hostile) => {
    const end = performance.now() + 1500;
    while (performance.now() < end) expect(await call('hostile:run')).toMatchObject({ kind: 'result' });
    expect(hostile.seen['GET']).toBeGreaterThan(0);
    expect(hostile.seen['GET']).toBeLessThanOrEqual(3);
  });
});
