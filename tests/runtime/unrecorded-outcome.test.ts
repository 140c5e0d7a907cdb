// A process whose store takes no outcome for a while: what its caller is told, and what every process tells once the store
// is well again, while the first one lives on.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import { CALLER, IO, open, place } from './rig.ts';
import type { Bench } from './rig.ts';

function once({ runtime }: Bench): Promise<CallAnswer> {
  return runtime.callCapability(CALLER, { tool: 'note', args: { n: 1 }, idempotencyKey: 'k' }, IO);
}

test('an effect whose outcome was not recorded is unknown, said so to all, and never made twice', async () => {
  const at = await place();
  const one = await open(at);
  const two = await open(at, { fakeClock: one.clock });
  const { store } = one.runtime;
  const commit = store.commit.bind(store);
  store.commit = (made) =>
    made.appends?.some(({ type }) => type === 'call_finished') === true
      ? Promise.reject(new RuntimeError('STORE_UNAVAILABLE'))
      : commit(made);
  const told = await once(one);
  expect(told).toMatchObject({
    ...{ status: 'unknown', side_effect_status: 'side_effect_unknown' },
    error: { code: 'SIDE_EFFECT_UNKNOWN', retryable: false },
  });
  one.clock.advance(10_000);
  expect((await once(two)).error?.code).toBe('CONFLICT');
  store.commit = commit;
  // With the next sign of life of the first process.
  one.clock.advance(10_000);
  const status = async (): Promise<unknown> =>
    (await two.runtime.inspect(CALLER, 'request', told.tool_call_id)).state.status;
  await expect.poll(status).toBe('unknown');
  for (const bench of [one, two]) expect((await once(bench)).error?.code).toBe('SIDE_EFFECT_UNKNOWN');
  expect(one.effects.length + two.effects.length).toBe(1);
});
