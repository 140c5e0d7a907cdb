// Owns the proof of a call's time: what its attempts say of it, and the one deadline over all of them.
import { describe, expect, test } from 'vitest';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { answers, attemptsOf, AWAY, failed } from './outcomes.ts';
import { createRig, expectStatus } from './rig.ts';
import type { Rig } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

describe('the time of a call', () => {
  /** Answers `result` after each of these times in turn, or what it is told when its signal ends it first. */
  function takes(rig: Rig, result: ExecutionResult, ...times: number[]): void {
    let n = 0;
    rig.tool.run = (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(failed('DOWNSTREAM_UNAVAILABLE', 'not_executed')));
        const ms = times[n++] ?? 0;
        rig.clock.after(ms, () => resolve(result));
        queueMicrotask(() => rig.clock.advance(ms));
      });
  }

  test('each attempt says when it began and ended', async () => {
    const rig = createRig();
    const begun = rig.clock.now();
    takes(rig, AWAY, 200, 300, 500);
    expect((await rig.call('note', {})).status).toBe('tool_error');
    expect(await attemptsOf(rig)).toMatchObject([
      { started_at: begun, ended_at: begun + 200 },
      { started_at: begun + 200, ended_at: begun + 500 },
      { started_at: begun + 500, ended_at: begun + 1000 },
    ]);
  });

  test('is one deadline for all its tries', async () => {
    const rig = createRig();
    const begun = rig.clock.now();
    takes(rig, AWAY, 6000, 4000);
    const result = expectStatus(await rig.call('note', {}), 'tool_error');
    expect(result.error?.code).toBe('TOOL_TIMEOUT');
    expect(rig.effects).toHaveLength(2);
    expect(await attemptsOf(rig)).toMatchObject([
      { outcome: 'transient_failure' },
      { started_at: begun + 6000, ended_at: begun + 10_000, error_class: 'TOOL_TIMEOUT' },
    ]);
    expect(rig.clock.pending).toBe(0);
  });

  test('is not waited out: a retry that would begin after it is not begun', async () => {
    const retry = { maxRetries: 2, backoffBaseMs: 60_000, backoffCapMs: 60_000 };
    const rig = createRig({ config: sampleConfig({ policy: { retry } }) });
    answers(rig, AWAY);
    expect((await rig.call('note', {})).status).toBe('tool_error');
    expect(rig.effects).toHaveLength(1);
    expect(await attemptsOf(rig)).toMatchObject([{ outcome: 'exhausted', backoff_ms: 0 }]);
  });

  test('may end during a wait, and nothing is sent after it', async () => {
    const retry = { maxRetries: 2, backoffBaseMs: 40, backoffCapMs: 40 };
    const rig = createRig({ config: sampleConfig({ policy: { retry } }) });
    rig.tool.run = () => {
      setImmediate(() => rig.clock.advance(10_000));
      return Promise.resolve(AWAY);
    };
    const result = expectStatus(await rig.call('note', {}), 'tool_error');
    expect(result.error?.code).toBe('TOOL_TIMEOUT');
    expect(rig.effects).toHaveLength(1);
  });
});
