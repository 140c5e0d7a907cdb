// Owns the proof of how a call is told that its caller canceled around its tries: as canceled, never as one whose tries
// were used up.
import { describe, expect, test } from 'vitest';
import { attemptsOf, AWAY } from './outcomes.ts';
import { createRig, expectStatus } from './rig.ts';
import type { Rig } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

const onFailure = { retry_exhaustion: 'end_run', catalogued_unhandled: 'tell_model' } as const;

function rigWaiting(backoffMs: number): Rig {
  const retry = { maxRetries: 2, backoffBaseMs: backoffMs, backoffCapMs: backoffMs };
  return createRig({ config: sampleConfig({ policy: { retry, onFailure } }) });
}

/** Every try is away; the caller cancels while this one, counted from one, runs. */
function cancelsIn(rig: Rig, stop: AbortController, nth: number): void {
  let n = 0;
  rig.tool.run = () => {
    if (++n === nth) stop.abort();
    return Promise.resolve(AWAY);
  };
}

describe('a canceled call', () => {
  test('is told as that when it waited to be tried again, with what it waited', async () => {
    const rig = rigWaiting(5000);
    const stop = new AbortController();
    rig.tool.run = () => {
      setImmediate(() => {
        rig.clock.advance(1200);
        stop.abort();
      });
      return Promise.resolve(AWAY);
    };
    const told = expectStatus(await rig.call('note', {}, {}, { signal: stop.signal }), 'canceled');
    expect(told.endsRun).toBeUndefined();
    expect(await attemptsOf(rig)).toMatchObject([
      { attempt: 1, outcome: 'transient_failure', backoff_ms: 1200, error_class: 'DOWNSTREAM_UNAVAILABLE' },
    ]);
  });

  test('is told as that when the try that it was canceled in fails, the first or a later one', async () => {
    for (const nth of [1, 2, 3]) {
      const rig = rigWaiting(1);
      const stop = new AbortController();
      cancelsIn(rig, stop, nth);
      const told = await rig.call('note', {}, {}, { signal: stop.signal });
      expect([nth, told.status, rig.effects.length]).toEqual([
        nth,
        nth === 3 ? 'tool_error' : 'canceled',
        nth,
      ]);
      const last = nth === 3 ? { outcome: 'exhausted' } : { outcome: 'transient_failure', backoff_ms: 0 };
      expect(((await attemptsOf(rig)) as unknown[]).at(-1)).toMatchObject(last);
    }
  });
});
