// Shows that a worker which is told to stop leaves what it has to the next worker, and ends nothing.
import { expect, test } from 'vitest';
import { createRuns } from '../../src/runtime/background.ts';
import type { RunsDeps } from '../../src/runtime/background.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import { createFakeClock } from '../../src/testing/index.ts';

const RUN = { tenant: 'acme', principal: 'ann', id: 's1', kind: 'session', asked: true } as const;
const CALLER = { ...RUN, actor: 'worker', roles: [], scopes: [], lane: 'main' };

function runsThat(
  run: () => Promise<unknown>,
  callerOf: RunsDeps['callerOf'] = () => CALLER,
): {
  advance: ReturnType<typeof createRuns>['advance'];
  now: number;
} {
  const clock = createFakeClock();
  const managed = {
    run,
    status: () => Promise.resolve('queued'),
    result: () => Promise.resolve(undefined),
  } as unknown as RunsDeps['managed'];
  const never = (): Promise<never> => Promise.reject(new RuntimeError('INTERNAL', 'not asked for'));
  const deps = { clock, managed, callerOf, approvalFor: never, workflows: never };
  return { ...createRuns({ ...deps, queue: {} as RunsDeps['queue'] }), now: clock.now() };
}

const canceled = (): Promise<never> => Promise.reject(new RuntimeError('CANCELED'));

test('a run that the stop interrupted is due at once for the next worker', async () => {
  const { advance, now } = runsThat(canceled);
  await expect(advance(RUN, AbortSignal.abort())).resolves.toEqual({
    type: 'parked',
    why: 'time',
    until: now,
    isHeldUp: true,
  });
});

test('a run that the stop suspended is due at once, one that suspended itself has ended', async () => {
  const { advance, now } = runsThat(() => Promise.resolve({ kind: 'suspended', reason: 'stopped' }));
  await expect(advance(RUN, AbortSignal.abort())).resolves.toMatchObject({ type: 'parked', until: now });
  await expect(advance(RUN, new AbortController().signal)).resolves.toMatchObject({ type: 'ended' });
});

test('a run of which another process still runs a call is looked at again, and not given up', async () => {
  const { advance, now } = runsThat(() => Promise.resolve({ kind: 'suspended', why: 'busy' }));
  await expect(advance(RUN, new AbortController().signal)).resolves.toEqual({
    type: 'parked',
    why: 'time',
    until: now + 15_000,
  });
});

test('without a stop the same failure is thrown on, and the timer brings the run again', async () => {
  const { advance } = runsThat(canceled);
  await expect(advance(RUN, new AbortController().signal)).rejects.toMatchObject({ code: 'CANCELED' });
});

test('a run whose principal nobody can name now waits, and has tried nothing', async () => {
  const { advance, now } = runsThat(canceled, () => {
    throw new RuntimeError('STORE_CORRUPT', 'tokens.json cannot be read');
  });
  await expect(advance(RUN, new AbortController().signal)).resolves.toEqual({
    type: 'parked',
    why: 'time',
    until: now + 15_000,
    isHeldUp: true,
  });
});
