// What each setting of capability sessions does to a real server behind them, each against its default.
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { CapabilitySessionControls, InputBounds } from '../../src/config/types.ts';
import type { Progress, Reply } from '../../src/kernel/execution/executor.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import { verifies } from '../e2e/verifies.ts';
import { createBench, freshSignal, probe, server, until } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const SCRIPT = fileURLToPath(new URL('../matrix/relay-server.mjs', import.meta.url));
const INPUT = sampleConfig().controls.capabilitySessions.input;
const REPLY: Reply = { action: 'accept', content: { name: 'Ada' } };

async function withControls(
  over: Partial<CapabilitySessionControls>,
  use: (bench: Bench) => Promise<void>,
  pool: { idleMs?: number; maxOpen?: number } = {},
): Promise<void> {
  const servers = [server('relay', [SCRIPT], { era: 'legacy' }), probe(), { ...probe(), name: 'second' }];
  const bench = createBench(servers, process.env, systemClock, over, pool);
  try {
    await use(bench);
  } finally {
    await bench.end();
  }
}

async function sessions({ store }: Bench): Promise<JsonObject[]> {
  const { items } = await store.list({ kind: 'capability_session', tenant: 't', limit: 10 });
  return items.map(({ body }) => body).sort((a, b) => Number('endedAt' in a) - Number('endedAt' in b));
}

async function records(bench: Bench): Promise<string[]> {
  const { store } = bench;
  const ids = (await sessions(bench)).map((one) => (one.subject as JsonObject).id as string);
  const chains = await Promise.all(
    ids.map((id) => store.read({ tenant: 't', aggregate: 'capability_session', id })),
  );
  return chains.flat().map(({ header, evidence }) => {
    const facts = evidence.state === 'present' ? evidence.value : {};
    return [header.type, facts.how, facts.why].filter((one) => typeof one === 'string').join(' ');
  });
}

test.each([
  ['stateful', 'in_progress', 1],
  ['per_call', 'completed', 2],
] as const)('session_mode %s', async (mode, status, count) => {
  await withControls({ mode }, async (bench) => {
    await bench.call('probe:echo', { text: 'a' });
    if (mode === 'per_call') await until(() => bench.sandbox.live() === 0);
    await bench.call('probe:echo', { text: 'b' });
    if (mode === 'per_call') await until(() => bench.sandbox.live() === 0);
    const found = await sessions(bench);
    expect(found).toHaveLength(count);
    expect(found.map((one) => (one.subject as JsonObject).reinitializedFrom)).toEqual(
      found.map(() => undefined),
    );
    if (mode === 'stateful') expect(found[0]).toMatchObject({ status });
  });
});

test.each([
  [true, 2],
  [false, 0],
])('allow_progress_events %s', async (progress, heard) => {
  await withControls({ progress }, async (bench) => {
    const steps: Progress[] = [];
    await bench.call('relay:progress', { steps: 2 }, { progress: (step) => steps.push(step) });
    expect(steps).toHaveLength(heard);
    const notes = (await records(bench)).filter((one) => one.startsWith('capability_progress_reported'));
    expect(notes.length > 0).toBe(progress);
  });
});

test.each([
  ['max_schema_bytes', { maxSchemaBytes: 64 }, /request_refused .*too large/],
  ['max_schema_depth', { maxSchemaDepth: 1 }, /request_refused .*too large/],
  ['max_reply_bytes', { maxReplyBytes: 8 }, /input_closed invalid_answer/],
  ['max_per_call', { maxPerCall: 0 }, /request_refused .*more often, or for longer, than it may/],
  ['open_seconds', { openSeconds: 0.02 }, /input_closed timed_out/],
] as [string, Partial<InputBounds>, RegExp][])('elicitation.%s', async (key, bound, said) => {
  const ask = async (): Promise<Reply> => (key === 'open_seconds' ? new Promise(() => undefined) : REPLY);
  await withControls({ input: { ...INPUT, ...bound } }, async (bench) => {
    const result = await bench.call('relay:ask', {}, { ask });
    expect(JSON.stringify(result)).toContain('cancel');
    expect((await records(bench)).join('\n')).toMatch(said);
  });
  if (key === 'open_seconds') return;
  await withControls({}, async (bench) => {
    expect(JSON.stringify(await bench.call('relay:ask', {}, { ask }))).toContain('Ada');
  });
});

verifies(
  { partial: ['CS-07', 'CS-08'] },
  'resume_policy: what goes on goes through the same session, or a new one',
  async () => {
    const on = { execution: { resumes: true } };
    await withControls({}, async (bench) => {
      await bench.call('probe:echo', { text: 'a' });
      await bench.call('probe:echo', { text: 'b' }, on);
      expect(await sessions(bench)).toHaveLength(1);
    });
    await withControls({ resumePolicy: 'always_reinitialize', onExpiry: 'cancel' }, async (bench) => {
      await bench.call('probe:echo', { text: 'a' });
      await bench.call('probe:echo', { text: 'b' });
      expect(await sessions(bench)).toHaveLength(1);
      expect(await bench.call('probe:echo', { text: 'c' }, on)).toMatchObject({ kind: 'result' });
      const [next, old] = await sessions(bench);
      expect(old).toMatchObject({ status: 'expired', cause: 'resume_policy' });
      expect(next).toMatchObject({
        status: 'in_progress',
        subject: { reinitializedFrom: (old?.subject as JsonObject).id },
      });
      // Another call uses the connection: it is not taken from it.
      const slow = bench.call('probe:slow', { ms: 300 });
      await until(() => bench.downstreams.all().some((one) => one.isOpen()));
      expect(await bench.call('probe:echo', { text: 'd' }, on)).toMatchObject({ kind: 'result' });
      expect(await slow).toMatchObject({ kind: 'result' });
      expect(await sessions(bench)).toHaveLength(2);
    });
  },
);

test('expiry_policy.max_open: room is made of what nobody uses, and of nothing else', async () => {
  await withControls(
    {},
    async ({ downstreams }) => {
      const who = { tenant: 't', principal: 'p' };
      const first = downstreams.lease('probe', who)!;
      await first.connection.session(freshSignal());
      expect(() => downstreams.lease('second', who)).toThrow('may be open is in use');
      first.end();
      const second = downstreams.lease('second', who)!;
      expect(first.connection.isOpen()).toBe(false);
      await second.connection.session(freshSignal());
      second.end();
    },
    { maxOpen: 1 },
  );
});
