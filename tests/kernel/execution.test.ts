// Owns the proof of what happens around an execution: retries, deadlines, cancels, failures, idempotency keys.
import { describe, expect, test } from 'vitest';
import { backoffMs } from '../../src/kernel/execution/attempts.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import * as checks from '../attack/checks.ts';
import { verifies } from '../e2e/verifies.ts';
import { answers, attemptsOf, AWAY, failed, LOST } from './outcomes.ts';
import { approved, createRig, expectStatus, OK, sessionOf } from './rig.ts';
import { capability, look, note, pay, sampleConfig, ticket } from './sample-config.ts';

describe('retries', () => {
  test('wait min(base·2^(n-1), cap) ±20 %, the same for the same seed', () => {
    const rule = { maxRetries: 3, backoffBaseMs: 100, backoffCapMs: 2000 };
    const draws = Array.from({ length: 200 }, (_, seed) => `call_${seed}`);
    for (const [attempt, plain] of [100, 200, 400, 800, 1600, 2000, 2000].entries()) {
      const waits = draws.map((seed) => backoffMs(rule, seed, attempt + 1));
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(plain * 0.8);
      expect(Math.max(...waits)).toBeLessThanOrEqual(plain * 1.2);
      expect(new Set(waits).size).toBeGreaterThan(20); // jitter is there
      expect(draws.map((seed) => backoffMs(rule, seed, attempt + 1))).toEqual(waits);
    }
  });

  verifies(['RF-01'], 'are as many as configured and really wait before each', async () => {
    const retry = { maxRetries: 3, backoffBaseMs: 10, backoffCapMs: 15 };
    const rig = createRig({ config: sampleConfig({ policy: { retry } }) });
    const at: number[] = [];
    rig.tool.run = () => {
      at.push(performance.now());
      return Promise.resolve(AWAY);
    };
    const result = expectStatus(await rig.call('note', {}, { toolCallId: 'call_r' }), 'tool_error');
    expect(rig.effects).toHaveLength(4);
    const waits = [1, 2, 3].map((n) => backoffMs(retry, 'call_r', n));
    for (const [n, wait] of waits.entries()) {
      expect(wait).toBeLessThanOrEqual(18);
      expect((at[n + 1] ?? 0) - (at[n] ?? 0)).toBeGreaterThanOrEqual(wait - 1.5);
    }
    expect(result.sideEffect).toBe('not_executed');
    expect(await attemptsOf(rig)).toMatchObject([...waits, 0].map((backoff_ms) => ({ backoff_ms })));
  });

  test('leave a record of each attempt', async () => {
    const rig = createRig();
    answers(rig, AWAY, OK);
    expect((await rig.call('note', { n: 1 })).status).toBe('done');
    expect(await attemptsOf(rig)).toMatchObject([
      {
        attempt: 1,
        outcome: 'transient_failure',
        error_class: 'DOWNSTREAM_UNAVAILABLE',
        error_message: 'gone',
      },
      { attempt: 2, outcome: 'success', backoff_ms: 0 },
    ]);
    answers(rig, AWAY);
    expect((await rig.call('note', { n: 2 })).status).toBe('tool_error');
    expect(await attemptsOf(rig)).toMatchObject([
      { attempt: 1, outcome: 'transient_failure' },
      { attempt: 2, outcome: 'transient_failure' },
      { attempt: 3, outcome: 'exhausted', backoff_ms: 0 },
    ]);
  });

  verifies(
    ['RF-03'],
    'are made only where the failure certainly did nothing or repeating is declared safe',
    async () => {
      const safe = capability('safe', {
        mode: 'write',
        idempotency: { keyRequired: false, idempotent: true },
      });
      const cases: [string, ExecutionResult, number][] = [
        ['note', AWAY, 3],
        ['note', LOST, 1],
        ['safe', LOST, 3],
        ['look', LOST, 1],
        ['safe', failed('TOOL_EXECUTION_FAILED', 'not_executed'), 1],
        ['safe', failed('INVALID_INPUT', 'not_executed'), 1],
        ['safe', failed('TOOL_TIMEOUT', 'side_effect_unknown'), 1],
        ['safe', { ...OK, kind: 'result', isError: true, content: [], notes: [] }, 1],
      ];
      for (const [tool, result, tries] of cases) {
        const config = sampleConfig({
          capabilities: [look, note, safe],
          policy: { registry: { allowed: ['look', 'note', 'safe'], denied: [] } },
        });
        const rig = createRig({ config });
        answers(rig, result);
        await rig.call(tool, {});
        expect([tool, result, rig.effects.length]).toEqual([tool, result, tries]);
      }
    },
  );
});

describe('failures', () => {
  test('of a write that may have left are unknown for ever; of a read they are an error', async () => {
    await checks.unknownIsNeverRepeated(createRig);
    const rig = createRig();
    answers(rig, LOST);
    expect(await rig.call('look', {})).toMatchObject({ status: 'tool_error', sideEffect: 'not_executed' });
    answers(rig, { kind: 'result', content: [], isError: true, notes: [] });
    expect(await rig.call('note', {})).toMatchObject({
      status: 'tool_error',
      sideEffect: 'partial_side_effect',
    });
    answers(rig, OK);
    expect(await rig.call('note', { n: 1 })).toMatchObject({ status: 'done', sideEffect: 'applied' });
    expect(await rig.call('look', { n: 1 })).toMatchObject({ status: 'done', sideEffect: 'not_executed' });
  });

  test('an executor that throws, at once or later, leaves a write unknown and is never tried again', async () => {
    for (const run of [
      () => {
        throw new TypeError('bug');
      },
      () => Promise.reject(new RangeError('bug')),
    ]) {
      const rig = createRig();
      rig.tool.run = run;
      expect((await rig.call('note', {})).status).toBe('unknown');
      expect((await rig.call('look', {})).status).toBe('tool_error');
      expect(rig.effects).toHaveLength(2);
    }
  });

  test('the deadline ends the call at its time, and progress does not move it', async () => {
    const rig = createRig();
    let told = 0;
    rig.tool.run = (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          resolve(failed('DOWNSTREAM_UNAVAILABLE', 'side_effect_unknown'));
        });
        for (let n = 1; n < 10; n++) rig.clock.after(n * 1000, () => (told += 1));
        queueMicrotask(() => rig.clock.advance(9999));
        queueMicrotask(() => rig.clock.advance(1));
      });
    const result = expectStatus(await rig.call('note', {}), 'unknown');
    expect(result.error.code).toBe('TOOL_TIMEOUT');
    expect(told).toBe(9);
    expect(rig.clock.pending).toBe(0);
    expect(rig.effects).toHaveLength(1);
  });

  test('the deadline also ends a call whose executor does not listen, a moment later', async () => {
    const rig = createRig();
    rig.tool.run = () => {
      queueMicrotask(() => rig.clock.advance(10_000));
      queueMicrotask(() => rig.clock.advance(2000));
      return new Promise(() => undefined);
    };
    const result = expectStatus(await rig.call('note', {}), 'unknown');
    expect(result.error.code).toBe('TOOL_TIMEOUT');
    expect((await rig.records()).at(-1)?.header.type).toBe('call_finished');
  });

  test('what an executor throws when its time is over is told as that, not as a fault of its own', async () => {
    const rig = createRig();
    rig.tool.run = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('late', 'AbortError')));
        queueMicrotask(() => rig.clock.advance(10_000));
      });
    expect(expectStatus(await rig.call('note', {}), 'unknown').error.code).toBe('TOOL_TIMEOUT');
    expect(expectStatus(await rig.call('look', {}), 'tool_error').error?.code).toBe('TOOL_TIMEOUT');
  });

  test('a cancel while the tool runs is heard by it; between tries it ends the wait', async () => {
    const rig = createRig();
    const stop = new AbortController();
    rig.tool.run = (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(failed('CANCELED', 'not_executed')));
        queueMicrotask(() => stop.abort());
      });
    expect((await rig.call('note', { n: 1 }, {}, { signal: stop.signal })).status).toBe('canceled');

    const slow = { maxRetries: 2, backoffBaseMs: 5000, backoffCapMs: 5000 };
    const waiting = createRig({ config: sampleConfig({ policy: { retry: slow } }) });
    const later = new AbortController();
    answers(waiting, AWAY);
    const call = waiting.call('note', {}, {}, { signal: later.signal });
    setImmediate(() => later.abort());
    expect((await call).status).toBe('canceled');
    expect(waiting.effects).toHaveLength(1);
  });

  test('a cancel between tries does not forget that the try before it may have left', async () => {
    const safe = capability('safe', {
      mode: 'write',
      idempotency: { keyRequired: false, idempotent: true },
    });
    const retry = { maxRetries: 2, backoffBaseMs: 5000, backoffCapMs: 5000 };
    const registry = { allowed: ['safe'], denied: [] };
    const rig = createRig({ config: sampleConfig({ capabilities: [safe], policy: { retry, registry } }) });
    const stop = new AbortController();
    answers(rig, LOST);
    const call = rig.call('safe', {}, {}, { signal: stop.signal });
    setImmediate(() => stop.abort());
    expect(await call).toMatchObject({ status: 'unknown', sideEffect: 'side_effect_unknown' });
  });

  test('a later try that did nothing does not forget that one before it may have left', async () => {
    const safe = capability('safe', {
      mode: 'write',
      idempotency: { keyRequired: true, idempotent: true },
    });
    const registry = { allowed: ['safe'], denied: [] };
    for (const last of [AWAY, failed('INVALID_INPUT', 'not_executed')]) {
      const rig = createRig({ config: sampleConfig({ capabilities: [safe], policy: { registry } }) });
      answers(rig, LOST, last);
      expect(await rig.call('safe', {})).toMatchObject({
        status: 'unknown',
        sideEffect: 'side_effect_unknown',
      });
      expect((await rig.call('safe', {})).status).toBe('unknown');
      const ended = createRig({ config: sampleConfig({ capabilities: [safe], policy: { registry } }) });
      answers(ended, LOST, OK);
      expect(await ended.call('safe', {})).toMatchObject({ status: 'done', sideEffect: 'applied' });
    }
  });

  test('a read that lost its connection twice keeps the token by which it is carried on', async () => {
    const list = capability('list', { mode: 'read', idempotency: { keyRequired: false, idempotent: true } });
    const registry = { allowed: ['list'], denied: [] };
    const expiry = { expiredId: 'cap_1', cause: 'lost', resumed: [], retry: ['list'], resumeToken: 'token' };
    const gone = { ...failed('CAPABILITY_SESSION_EXPIRED', 'not_executed'), expiry } as ExecutionResult;
    const rig = createRig({ config: sampleConfig({ capabilities: [list], policy: { registry } }) });
    answers(rig, LOST, gone);
    expect(await rig.call('list', {})).toMatchObject({ status: 'expired', expiry: { resumeToken: 'token' } });
  });

  test('a call canceled before it began has no effect', async () => {
    const rig = createRig();
    const result = await rig.call('note', {}, {}, { signal: AbortSignal.abort() });
    expect(result.status).toBe('canceled');
    expect(rig.effects).toHaveLength(0);
  });
});

describe('idempotency keys', () => {
  const DAY = 24 * 60 * 60 * 1000;

  verifies(
    { partial: ['RF-14', 'RF-15'] },
    'replay answers without effect and without a second record of one',
    async () => {
      await checks.idempotentKeyHasOneEffect(createRig);
      const rig = createRig();
      const args = { key: 'k', title: 'a' };
      await rig.call('ticket', args);
      const elsewhere = sessionOf(rig.clock, { id: 'ses_other' });
      const replayed = expectStatus(await rig.call('ticket', args, { session: elsewhere }), 'done');
      expect(replayed).toMatchObject({ sideEffect: 'not_executed', outcome: { replayed: true } });
      expect((await rig.records('ses_other')).map((one) => one.header.type)).toEqual(['call_replayed']);
    },
  );

  test('the same call id asked again after a replay gets the same answer', async () => {
    const rig = createRig();
    const args = { key: 'k', title: 'a' };
    await rig.call('ticket', args);
    const session = sessionOf(rig.clock, { id: 'ses_other' });
    const same = { toolCallId: 'call_again', session };
    const first = expectStatus(await rig.call('ticket', args, same), 'done');
    const second = expectStatus(await rig.call('ticket', args, same), 'done');
    expect(second.outcome.content).toEqual(first.outcome.content);
    expect(rig.effects).toHaveLength(1);
  });

  test('a replay asks nobody, also where the tool needs approval', async () => {
    const guarded = capability('guarded', {
      mode: 'write',
      approval: { approver: 'principal' },
      idempotency: { keyRequired: true, idempotent: false },
    });
    const config = sampleConfig({
      capabilities: [guarded, pay],
      policy: { registry: { allowed: ['guarded', 'pay'], denied: [] } },
    });
    const rig = createRig({ config });
    await approved(rig, 'guarded', { to: 'x' });
    expect((await rig.call('guarded', { to: 'x' })).status).toBe('done');
    // Without a key in argument or meta, the action itself is the key.
    expect(await rig.call('guarded', { to: 'x' })).toMatchObject({
      status: 'done',
      outcome: { replayed: true },
    });
    expect((await rig.call('guarded', { to: 'y' })).status).toBe('waiting_approval');
    expect(rig.effects).toHaveLength(1);
  });

  test('the same key with other arguments, or of another person, is a conflict; another tenant has its own', async () => {
    const rig = createRig();
    await rig.call('ticket', { key: 'k', title: 'a' });
    expect(await rig.call('ticket', { key: 'k', title: 'b' })).toMatchObject({
      status: 'tool_error',
      error: { code: 'IDEMPOTENCY_CONFLICT' },
    });
    const { context } = rig.request('ticket', {});
    const as = (over: object) => ({ context: { ...context, caller: { ...context.caller, ...over } } });
    const session = sessionOf(rig.clock, { id: 'ses_o' });
    const args = { key: 'k', title: 'a' };
    const stranger = await rig.call('ticket', args, { ...as({ principal: 'os:2' }), session });
    expect(stranger).toMatchObject({ error: { code: 'IDEMPOTENCY_CONFLICT' } });
    expect((await rig.call('ticket', args, { ...as({ tenant: 't2' }), session })).status).toBe('done');
    expect(rig.effects).toHaveLength(2);
  });

  test('a key in meta counts where no argument names one, for other call ids and the same arguments', async () => {
    const rig = createRig();
    const key = { idempotencyKey: 'meta-1' };
    expect((await rig.call('note', { n: 1 }, key)).status).toBe('done');
    expect(await rig.call('note', { n: 1 }, key)).toMatchObject({ outcome: { replayed: true } });
    expect(await rig.call('note', { n: 2 }, key)).toMatchObject({ error: { code: 'IDEMPOTENCY_CONFLICT' } });
    expect((await rig.call('note', { n: 1 }, { idempotencyKey: 'meta-2' })).status).toBe('done');
    expect(rig.effects).toHaveLength(2);
  });

  test('a key is free again after 24 hours, not a millisecond before', async () => {
    const rig = createRig();
    const args = { key: 'k', title: 'a' };
    await rig.call('ticket', args);
    rig.clock.advance(DAY - 1);
    expect(await rig.call('ticket', args)).toMatchObject({ outcome: { replayed: true } });
    rig.clock.advance(1);
    expect(await rig.call('ticket', args)).toMatchObject({ outcome: { replayed: false } });
    expect(rig.effects).toHaveLength(2);
  });

  test('a key in use: a living process is waited for, a dead one leaves it unknown, a lost write too', async () => {
    const dying = createRig({
      instance: 'inst_dead',
      idSeed: 'd',
      wrapStore: (store) => ({
        ...store,
        commit: (commit) =>
          commit.appends?.[0]?.type === 'call_finished'
            ? Promise.reject(new Error('gone'))
            : store.commit(commit),
      }),
    });
    const args = { key: 'k', title: 'a' };
    expect((await dying.call('ticket', args)).status).toBe('unknown');
    const over = { store: dying.store, clock: dying.clock };
    const alive = createRig({ ...over, idSeed: 'a', isAlive: () => Promise.resolve(true) });
    expect(await alive.call('ticket', args)).toMatchObject({
      status: 'tool_error',
      error: { code: 'CONFLICT' },
    });
    const dead = createRig({ ...over, idSeed: 'b' });
    expect(await dead.call('ticket', args)).toMatchObject({
      status: 'unknown',
      sideEffect: 'side_effect_unknown',
    });
    answers(dead, LOST);
    expect((await dead.call('ticket', { key: 'l', title: 'a' })).status).toBe('unknown');
    expect((await dead.call('ticket', { key: 'l', title: 'a' })).status).toBe('unknown');
    expect(dead.effects).toHaveLength(1);
    expect(alive.effects).toHaveLength(0);
  });

  test('a failure that did nothing leaves the key free', async () => {
    const rig = createRig({ config: sampleConfig({ capabilities: [ticket] }) });
    answers(rig, failed('TOOL_EXECUTION_FAILED', 'not_executed'), OK);
    expect((await rig.call('ticket', { key: 'k' })).status).toBe('tool_error');
    expect((await rig.call('ticket', { key: 'k' })).status).toBe('done');
  });

  test('a write that failed half way does not leave the key free', async () => {
    const rig = createRig();
    answers(rig, { kind: 'result', content: [], isError: true, notes: [] }, OK);
    await rig.call('ticket', { key: 'k' });
    await rig.call('ticket', { key: 'k' });
    expect(rig.effects).toHaveLength(1);
  });

  test('a conflict, a wait and an unknown of a key are on record like every other answer', async () => {
    const rig = createRig({ isAlive: (instance) => Promise.resolve(instance === 'inst_rig') });
    const seen = async (): Promise<unknown> => {
      const last = (await rig.records()).at(-1);
      return last?.evidence.state === 'present' ? last.evidence.value : undefined;
    };
    await rig.call('ticket', { key: 'k', title: 'a' });
    const conflict = { toolCallId: 'call_conflict' };
    const refused = await rig.call('ticket', { key: 'k', title: 'b' }, conflict);
    expect(refused.receiptIds).toHaveLength(1);
    expect(await seen()).toMatchObject({
      call_id: 'call_conflict',
      receipt_id: refused.receiptIds[0],
      error: { code: 'IDEMPOTENCY_CONFLICT' },
      side_effect_status: 'not_executed',
    });
    expect(await rig.store.row('request', 'local', 'call_conflict')).toMatchObject({ status: 'tool_error' });
    expect(await rig.call('ticket', { key: 'k', title: 'b' }, conflict)).toMatchObject({
      status: 'tool_error',
      outcome: { replayed: true },
      error: { code: 'IDEMPOTENCY_CONFLICT' },
    });

    let during: unknown;
    rig.tool.run = async () => {
      during = await rig.call('ticket', { key: 'l', title: 'a' }, { toolCallId: 'call_wait' });
      return LOST;
    };
    await rig.call('ticket', { key: 'l', title: 'a' });
    expect(during).toMatchObject({ status: 'tool_error', error: { code: 'CONFLICT' } });
    expect(await rig.store.row('request', 'local', 'call_wait')).toBeDefined();
    // The wait is over: the same id is decided anew and learns that nobody knows.
    const after = await rig.call('ticket', { key: 'l', title: 'a' }, { toolCallId: 'call_wait' });
    expect(after.status).toBe('unknown');
    expect(await seen()).toMatchObject({ call_id: 'call_wait', status: 'unknown' });
    expect(await rig.store.row('request', 'local', 'call_wait')).toMatchObject({ status: 'unknown' });
    expect(rig.effects).toHaveLength(2);
  });
});
