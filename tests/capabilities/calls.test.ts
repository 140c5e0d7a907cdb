// What a call to a downstream server may come to: results, failures and what is honestly known of its effect.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { DownstreamServer } from '../../src/config/types.ts';
import { inspectItem } from '../../src/inspect/inspect.ts';
import { listPage } from '../../src/inspect/lists.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { verifies } from '../e2e/verifies.ts';
import {
  freshSignal,
  hostile,
  livePin,
  probe,
  script,
  server,
  TRACE_ID,
  until,
  withBench,
} from './fixtures.ts';

function structured(result: ExecutionResult): JsonObject {
  return (result.kind === 'result' ? result.structured : undefined) ?? {};
}

function lines(file: string): string[] {
  return readFileSync(file, 'utf8').trim().split('\n');
}

describe.each(['legacy', 'auto', 'modern'] as const)('calls over the %s protocol', (era) => {
  test('answers with content and structured content, and sends our trace', async () => {
    await withBench([probe({ era })], async ({ call, downstreams }) => {
      const result = await call('probe:echo', { text: 'hello' });
      expect(result).toMatchObject({
        kind: 'result',
        isError: false,
        content: [{ type: 'text', text: 'hello' }],
      });
      const meta = JSON.parse(structured(result)['meta'] as string) as Record<string, string>;
      expect(meta['traceparent']).toMatch(new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`));
      const session = await downstreams.connection('probe')!.session(freshSignal());
      expect(session.era).toBe(era === 'legacy' ? 'legacy' : 'modern');
    });
  });

  test('a cancel reaches the server, and what it did is unknown', async () => {
    await withBench([probe({ era })], async ({ call, directory }) => {
      const file = join(directory, 'slow');
      const controller = new AbortController();
      const running = call('probe:slow', { ms: 60_000, file }, { signal: controller.signal });
      await until(() => existsSync(file));
      controller.abort(new Error('stop'));
      expect(await running).toMatchObject({ code: 'CANCELED', sideEffect: 'side_effect_unknown' });
      await until(() => lines(file).length === 2);
      expect(lines(file)).toEqual(['began', 'canceled']);
    });
  });

  test('a list that changed is asked for again before the next call', async () => {
    await withBench([probe({ era })], async ({ call, downstreams, drifted, listed }) => {
      const pinned = await livePin(downstreams, 'probe', 'echo');
      expect(await call('probe:echo', { text: 'a' }, { execution: { pinDigest: pinned } })).toMatchObject({
        kind: 'result',
      });
      await call('probe:mutate');
      const result = await call('probe:echo', { text: 'a' }, { execution: { pinDigest: pinned } });
      expect(result).toMatchObject({ kind: 'failed', code: 'SPEC_TAMPERED', sideEffect: 'not_executed' });
      expect(drifted).toEqual(['probe']);
      expect(listed).toEqual(['probe', 'probe']);
    });
  });
});

test('progress is handed on in order and before the answer', async () => {
  await withBench([probe()], async ({ call }) => {
    const seen: number[] = [];
    const result = await call(
      'probe:progress',
      { steps: 5 },
      { progress: ({ progress }) => seen.push(progress) },
    );
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(result).toMatchObject({ kind: 'result', notes: [] });
  });
});

verifies(
  ['CS-04'],
  'what a call reports is on record in order, and shown to whoever looks while it has no answer',
  async () => {
    await withBench([probe()], async ({ call, store }) => {
      const controller = new AbortController();
      let isAnswered = false;
      const running = call('probe:progress', { steps: 3, hang: true }, { signal: controller.signal }).finally(
        () => (isAnswered = true),
      );
      const reader = { tenant: 't', principal: 'p', actor: 'a', roles: [], scopes: [], lane: 'default' };
      const reported = async (): Promise<unknown[]> => {
        const { items } = await listPage({ store, caller: reader, now: 0 }, 'capability_session', {});
        const id = items[0]?.['capability_session_id'];
        if (typeof id !== 'string') return [];
        const { timeline } = await inspectItem({ store, now: 0 }, reader, 'capability_session', id);
        const of = timeline.filter((line) => line['type'] === 'capability_progress_reported');
        expect(of.every((line) => line['call_id'] === 'call_1')).toBe(true);
        return of.flatMap((line) => line['items'] as JsonObject[]).map((item) => item['progress']);
      };
      await expect.poll(reported).toEqual([1, 2, 3]);
      expect(isAnswered).toBe(false);
      controller.abort(new Error('stop'));
      expect(await running).toMatchObject({ kind: 'failed', code: 'CANCELED' });
      expect(await reported()).toEqual([1, 2, 3]);
    });
  },
);

verifies({ partial: ['CI-01'] }, 'the time limit is absolute: progress does not extend it', async () => {
  await withBench([probe()], async ({ call, downstreams }) => {
    await downstreams.connection('probe')!.session(freshSignal());
    const seen: number[] = [];
    const started = performance.now();
    const result = await call(
      'probe:progress',
      { steps: 3, hang: true },
      { capability: { timeoutSeconds: 1 }, progress: ({ progress }) => seen.push(progress) },
    );
    expect(seen).toEqual([1, 2, 3]);
    expect(result).toMatchObject({ kind: 'failed', code: 'TOOL_TIMEOUT', sideEffect: 'side_effect_unknown' });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await call('probe:echo', { text: 'still here' })).toMatchObject({ kind: 'result' });
  });
});

test('more progress than anybody follows is left out and counted', async () => {
  await withBench([probe()], async ({ call }) => {
    let seen = 0;
    const result = await call('probe:progress', { steps: 1500 }, { progress: () => seen++ });
    expect(seen).toBe(1000);
    expect(result).toMatchObject({ kind: 'result', notes: ['500 progress messages left out'] });
  });
});

test('a progress listener that throws does not break the call', async () => {
  await withBench([probe()], async ({ call }) => {
    const progress = (): never => {
      throw new Error('listener');
    };
    expect(await call('probe:progress', { steps: 2 }, { progress })).toMatchObject({ kind: 'result' });
  });
});

test('a crash in mid-call is side_effect_unknown, and the server is started again', async () => {
  await withBench([probe()], async ({ call, directory, downstreams }) => {
    const file = join(directory, 'effects');
    const result = await call('probe:crash', { file });
    expect(result).toMatchObject({
      kind: 'failed',
      code: 'SUBPROCESS_EXIT_NONZERO',
      sideEffect: 'side_effect_unknown',
    });
    expect((result as { message: string }).message).toContain('code 7');
    expect(lines(file)).toEqual(['before the crash']);
    expect(downstreams.connection('probe')!.state()).toMatchObject({ state: 'failed', failures: 1 });
    expect(await call('probe:echo', { text: 'again' })).toMatchObject({ kind: 'result' });
  });
});

test('a tool that says it failed is a result with isError', async () => {
  await withBench([probe()], async ({ call }) => {
    expect(await call('probe:fail')).toMatchObject({ kind: 'result', isError: true });
  });
});

test('a protocol error and a wrong result are failures of unknown effect', async () => {
  await withBench([hostile('error'), { ...hostile('bad-result'), name: 'bad' }], async ({ call }) => {
    expect(await call('hostile:run')).toMatchObject({
      code: 'TOOL_EXECUTION_FAILED',
      sideEffect: 'side_effect_unknown',
    });
    expect(await call('bad:run')).toMatchObject({
      code: 'SUBPROCESS_PROTOCOL_ERROR',
      sideEffect: 'side_effect_unknown',
    });
  });
});

test('a server that cannot be started is not_executed, and says why', async () => {
  const missing = server('gone', [], { command: '/nonexistent/program' });
  await withBench(
    [missing, probe({}, '--no-start'), hostile('silent', { startTimeoutSeconds: 1 })],
    async (bench) => {
      for (const [id, text] of [
        ['gone:run', 'ENOENT'],
        ['probe:echo', 'code 3'],
        ['hostile:run', 'did not start within 1 s'],
      ] as const) {
        const result = await bench.call(id, {}, { execution: { pinDigest: 'sha256:any' } });
        expect(result).toMatchObject({ code: 'DOWNSTREAM_UNAVAILABLE', sideEffect: 'not_executed' });
        expect((result as { message: string }).message).toContain(text);
      }
      expect(bench.stderr).toContain('probe: probe: told not to start');
    },
  );
});

test('a call that ends before the server is up is not_executed', async () => {
  await withBench([hostile('silent')], async ({ call }) => {
    const over = { execution: { pinDigest: 'sha256:any' } };
    const controller = new AbortController();
    const running = call('hostile:run', {}, { ...over, signal: controller.signal });
    controller.abort();
    expect(await running).toMatchObject({ code: 'CANCELED', sideEffect: 'not_executed' });
    const late = await call('hostile:run', {}, { ...over, capability: { timeoutSeconds: 0.2 } });
    expect(late).toMatchObject({ code: 'TOOL_TIMEOUT', sideEffect: 'not_executed' });
  });
});

verifies(
  { partial: ['CI-01'] },
  'an answer beyond the output limit is refused, and the connection stays',
  async () => {
    await withBench([probe()], async ({ call, downstreams }) => {
      const result = await call('probe:big', { bytes: 200_000 });
      expect(result).toMatchObject({ code: 'OUTPUT_TOO_LARGE', sideEffect: 'side_effect_unknown' });
      expect(downstreams.connection('probe')!.state()).toMatchObject({ state: 'ready' });
      expect(await call('probe:big', { bytes: 90_000 })).toMatchObject({ kind: 'result' });
    });
  },
);

test('an answer beyond the message limit ends the connection, and the next call starts anew', async () => {
  await withBench([probe()], async ({ call }) => {
    const result = await call('probe:big', { bytes: 2_000_000 });
    expect(result).toMatchObject({ code: 'SUBPROCESS_PROTOCOL_ERROR', sideEffect: 'side_effect_unknown' });
    expect(await call('probe:echo', { text: 'again' })).toMatchObject({ kind: 'result' });
  });
});

verifies(
  { partial: ['CI-01'] },
  'the idempotency key goes into _meta unless an argument carries it',
  async () => {
    await withBench([probe()], async ({ call }) => {
      const execution = { idempotencyKey: 'key-1' };
      const plain = JSON.stringify(await call('probe:echo', { text: 'x' }, { execution }));
      expect(plain).toContain('agent-runtime/idempotency-key');
      expect(plain).toContain('key-1');
      const idempotency = { keyRequired: true, idempotent: false, argument: 'text' };
      const argued = JSON.stringify(
        await call('probe:echo', { text: 'x' }, { execution, capability: { idempotency } }),
      );
      expect(argued).not.toContain('key-1');
    });
  },
);

test('protocol metadata of the server does not travel further, its own does', async () => {
  await withBench([hostile('poison')], async ({ call }) => {
    const result = await call('hostile:run');
    expect(result).toEqual({
      kind: 'result',
      content: [{ type: 'text', text: 'ok', _meta: { 'vendor/kept': 1 } }],
      isError: false,
      notes: [],
      confinement: {
        ...{ sandbox: 'none', reason: 'no sandbox_profile' },
        reads: expect.stringMatching(/^not confined: /) as string,
      },
      capabilitySessionId: expect.stringMatching(/^cap_/) as string,
    });
  });
});

test('an executor that is misused still answers', async () => {
  await withBench([probe()], async ({ call, executor }) => {
    expect(executor.transports).toEqual(['mcp_stdio', 'mcp_http']);
    const unknown = await call('nobody:run', {}, { execution: { pinDigest: 'x' } });
    expect(unknown).toMatchObject({ code: 'DOWNSTREAM_UNAVAILABLE', sideEffect: 'not_executed' });
    const broken = await executor.execute({} as never, {} as never).catch(() => 'threw');
    expect(broken).not.toBe('threw');
    const unpinned = await call(
      'probe:echo',
      { text: 'x' },
      { execution: { pinDigest: undefined as never } },
    );
    expect(unpinned).toMatchObject({ code: 'SPEC_TAMPERED', sideEffect: 'not_executed' });
  });
});

test('calls to one server run in parallel and get their own answers', async () => {
  await withBench([probe()], async ({ call }) => {
    const texts = Array.from({ length: 50 }, (_, index) => `call ${index}`);
    const results = await Promise.all(texts.map((text) => call('probe:echo', { text })));
    expect(results.map((result) => structured(result)['text'])).toEqual(texts);
  });
});

describe('a tool with an outputSchema', () => {
  const schema = { type: 'object', properties: { sum: { type: 'integer' } }, required: ['sum'] };
  const promising = (what: object): DownstreamServer =>
    server('hostile', [script('hostile'), 'promises', JSON.stringify(what)]);
  const content = [{ type: 'text', text: '3' }];

  test('is believed when it keeps its promise, and need not when it failed', async () => {
    await withBench([promising(schema)], async ({ call }) => {
      const kept = { content, structuredContent: { sum: 3 } };
      expect(await call('hostile:run', { answer: kept })).toMatchObject({
        kind: 'result',
        structured: { sum: 3 },
      });
      const failed = { content, isError: true };
      expect(await call('hostile:run', { answer: failed })).toMatchObject({ kind: 'result', isError: true });
    });
  });

  test.each([
    ['of another type', { sum: '3' }, '/sum'],
    ['not all there', {}, 'sum'],
    ['missing', undefined, 'no structured content'],
  ])(
    'is not when its content is %s: that is a failure of unknown effect',
    async (_, structuredContent, why) => {
      await withBench([promising(schema)], async ({ call, drifted }) => {
        const result = await call('hostile:run', { answer: { content, structuredContent } as JsonObject });
        expect(result).toMatchObject({
          kind: 'failed',
          code: 'INVALID_OUTPUT',
          sideEffect: 'side_effect_unknown',
        });
        expect((result as { message: string }).message).toContain(why);
        expect((result as { message: string }).message).toContain('What it did is done');
        expect(drifted).toEqual([]);
      });
    },
  );

  test('that nobody can judge is not called', async () => {
    await withBench(
      [promising({ type: 'object', $schema: 'https://evil.test/dialect' })],
      async ({ call }) => {
        expect(await call('hostile:run', { answer: { content } })).toMatchObject({
          code: 'SUBPROCESS_PROTOCOL_ERROR',
          sideEffect: 'not_executed',
        });
      },
    );
  });
});
