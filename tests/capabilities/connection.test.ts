// The supervision of one server: when it is started, when it is left alone, and that it never outlives its end.
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createConnection } from '../../src/capabilities/connection.ts';
import { serverIdentity } from '../../src/capabilities/pin-file.ts';
import {
  BREAKER_FAILURES,
  BREAKER_MS,
  STABLE_MS,
  transition,
  waitAfter,
} from '../../src/capabilities/state.ts';
import type { ConnectionEvent, ConnectionState } from '../../src/capabilities/state.ts';
import { createSandbox } from '../../src/kernel/sandbox/spawn.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { freshSignal, hostile, isAlive, probe, server, withBench } from './fixtures.ts';

const ANY = { execution: { pinDigest: 'sha256:any' } };

function fold(...events: ConnectionEvent[]): ConnectionState {
  return events.reduce<ConnectionState>(transition, { state: 'idle', failures: 0 });
}

describe('transition', () => {
  const broke = (at: number): ConnectionEvent => ({ event: 'broke', at, reason: 'gone' });

  test('goes through start, ready and failure', () => {
    expect(fold({ event: 'start' })).toEqual({ state: 'starting', failures: 0 });
    expect(fold({ event: 'start' }, { event: 'started', at: 5 })).toEqual({
      state: 'ready',
      failures: 0,
      since: 5,
    });
    expect(fold({ event: 'start' }, broke(7))).toEqual({
      state: 'failed',
      failures: 1,
      until: 7,
      reason: 'gone',
    });
  });

  test('waits longer with each failure in a row, then opens the breaker', () => {
    const waits = [1, 2, 3, 4, BREAKER_FAILURES, BREAKER_FAILURES + 9].map(waitAfter);
    expect(waits).toEqual([0, 250, 500, 1000, BREAKER_MS, BREAKER_MS]);
    expect(fold({ event: 'start' }, broke(0), { event: 'start' }, broke(100))).toMatchObject({ until: 350 });
  });

  test('a connection that stayed up starts counting anew', () => {
    const crash = (up: number): ConnectionState =>
      fold({ event: 'start' }, broke(0), { event: 'start' }, { event: 'started', at: 0 }, broke(up));
    expect(crash(STABLE_MS - 1)).toMatchObject({ failures: 2 });
    expect(crash(STABLE_MS)).toMatchObject({ failures: 1, until: STABLE_MS });
  });

  test('leaves closed never, and ignores what means nothing', () => {
    const events: ConnectionEvent[] = [
      { event: 'start' },
      { event: 'started', at: 1 },
      broke(1),
      { event: 'close' },
    ];
    for (const event of events) expect(transition({ state: 'closed' }, event)).toEqual({ state: 'closed' });
    expect(fold({ event: 'started', at: 1 })).toEqual({ state: 'idle', failures: 0 });
    expect(fold(broke(1))).toEqual({ state: 'idle', failures: 0 });
  });
});

verifies(
  { partial: ['CS-11'] },
  'no child is started before the first call, and one for many calls at once',
  async () => {
    await withBench([probe()], async ({ call, downstreams, sandbox }) => {
      expect(sandbox.live()).toBe(0);
      const connection = downstreams.connection('probe')!;
      expect(connection.state()).toEqual({ state: 'idle', failures: 0 });
      await Promise.all(Array.from({ length: 5 }, () => call('probe:echo', { text: 'x' })));
      expect(sandbox.live()).toBe(1);
      expect(connection.state()).toMatchObject({ state: 'ready' });
    });
  },
);

test('a server that keeps failing is left alone for a growing time, by the clock', async () => {
  const clock = createFakeClock();
  const sandbox = createSandbox({ clock: systemClock, environment: process.env });
  const entry = server('gone', [], { command: '/nonexistent/program' });
  const connection = createConnection(entry, serverIdentity(entry), {
    sandbox,
    sandboxRoot: tmpdir(),
    environment: {},
    clock,
    clientVersion: '0',
    eras: { get: () => entry.era, learn: () => undefined },
  });
  const attempt = async (): Promise<string> =>
    connection.session(freshSignal()).then(
      () => 'session',
      (error: unknown) => (error as Error).message,
    );
  const failures: number[] = [];
  for (let round = 0; round < 8; round++) {
    await attempt();
    const state = connection.state();
    failures.push(state.state === 'failed' ? state.failures : -1);
  }
  // The second try is at once; the third and later ones are refused until time passes.
  expect(failures).toEqual([1, 2, 2, 2, 2, 2, 2, 2]);
  expect(await attempt()).toContain('not started again for 250 ms');
  clock.advance(250);
  expect(await attempt()).toContain('ENOENT');
  clock.advance(500);
  await attempt();
  clock.advance(1000);
  await attempt();
  expect(await attempt()).toContain(`not started again for ${BREAKER_MS} ms`);
  await connection.close();
  expect(await attempt()).toContain('it is closed');
});

test('a wait that ends does not end the start that others wait for', async () => {
  await withBench([probe()], async ({ downstreams, sandbox }) => {
    const connection = downstreams.connection('probe')!;
    const impatient = new AbortController();
    const first = connection.session(impatient.signal);
    const second = connection.session(freshSignal());
    impatient.abort();
    await expect(first).rejects.toMatchObject({ code: 'CANCELED' });
    expect((await second).pid).toBeGreaterThan(0);
    expect(sandbox.live()).toBe(1);
  });
});

test('closing while a server starts leaves no child', async () => {
  await withBench([hostile('silent'), probe()], async ({ downstreams, sandbox }) => {
    const pending = ['hostile', 'probe'].map((name) =>
      downstreams
        .connection(name)!
        .session(freshSignal())
        .catch(() => 'refused'),
    );
    while (sandbox.live() === 0) await new Promise((resolve) => setImmediate(resolve));
    await downstreams.close();
    await Promise.all(pending);
    expect(sandbox.live()).toBe(0);
  });
});

test('one bad server takes no other with it', async () => {
  await withBench([probe({}, '--no-start'), { ...probe(), name: 'good' }], async ({ call, downstreams }) => {
    const good = await downstreams.connection('good')!.session(freshSignal());
    for (let round = 0; round < 3; round++) {
      expect(await call('probe:echo', { text: 'x' }, ANY)).toMatchObject({ sideEffect: 'not_executed' });
      expect(await call('good:echo', { text: 'x' })).toMatchObject({ kind: 'result' });
    }
    expect((await downstreams.connection('good')!.session(freshSignal())).pid).toBe(good.pid);
    expect(isAlive(good.pid)).toBe(true);
  });
});

test('the child is gone when close answers', async () => {
  await withBench([probe()], async ({ downstreams }) => {
    const { pid } = await downstreams.connection('probe')!.session(freshSignal());
    expect(isAlive(pid)).toBe(true);
    await downstreams.close();
    expect(isAlive(pid)).toBe(false);
    await expect(downstreams.connection('probe')!.session(freshSignal())).rejects.toMatchObject({
      code: 'DOWNSTREAM_UNAVAILABLE',
    });
  });
});

verifies(['SB-02'], 'only declared environment names reach a tool, and never a secret of ours', async () => {
  const ambient = {
    PATH: process.env['PATH'],
    HOME: '/home/somebody',
    ANTHROPIC_API_KEY: 'canary-provider',
    DATABASE_URL: 'canary-database',
    AGENT_RUNTIME_TOKEN: 'canary-token',
    NODE_OPTIONS: '--no-warnings',
    DECLARED: 'declared value',
    SOURCE: 'from elsewhere',
    LANG: '() { :; }; echo canary-shellshock',
  };
  const entry = probe({
    envAllow: ['DECLARED', 'NOT_SET'],
    env: { SET: { value: 'set value' }, RENAMED: { fromEnv: 'SOURCE' } },
  });
  await withBench(
    [entry],
    async ({ call }) => {
      const result = await call('probe:env');
      const { env, descriptors } = (
        result as unknown as { structured: { env: Record<string, string>; descriptors: string[] } }
      ).structured;
      expect(env).toEqual({
        PATH: process.env['PATH'],
        HOME: '/home/somebody',
        DECLARED: 'declared value',
        SET: 'set value',
        RENAMED: 'from elsewhere',
      });
      expect(JSON.stringify(result)).not.toContain('canary');
      // Standard streams, what the child opened itself, and nothing of ours: no socket or file beyond its own.
      expect(descriptors.length).toBeLessThan(30);
    },
    ambient,
  );
});

test('a variable or file that is missing is named, without any value', async () => {
  const fromEnv = server('one', [], { env: { KEY: { fromEnv: 'NOT_SET_ANYWHERE' } } });
  const fromFile = server('two', [], { env: { KEY: { fromFile: '/nonexistent/secret' } } });
  await withBench([fromEnv, fromFile], async ({ call, sandbox }) => {
    const one = await call('one:run', {}, ANY);
    expect(one).toMatchObject({ sideEffect: 'not_executed' });
    expect((one as { message: string }).message).toContain('NOT_SET_ANYWHERE');
    const two = await call('two:run', {}, ANY);
    expect((two as { message: string }).message).toContain('env.KEY');
    expect(sandbox.live()).toBe(0);
  });
});
