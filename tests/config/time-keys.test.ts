// What a server's own time for calls does, and the switches that say how it is and cannot be turned off.
import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { load, refusal, swap } from './fixture.ts';

const timesOf = async (seconds: string): Promise<[string, number][]> => {
  const config = await load({
    'servers.yaml': swap('call_timeout_seconds: 60', seconds),
    'capabilities.yaml': swap('timeout_seconds: 10', 'timeout_seconds: 40'),
  });
  return Object.values(config.capabilities).map(({ id, timeoutSeconds }) => [id, timeoutSeconds]);
};

verifies({ partial: ['CV-01'] }, 'a server ends calls of its tools earlier, never later', async () => {
  const earlier = Object.fromEntries(await timesOf('call_timeout_seconds: 7'));
  const later = Object.fromEntries(await timesOf('call_timeout_seconds: 600'));
  const absent = Object.fromEntries(await timesOf(''));
  expect(later).toEqual(absent);
  expect(Object.values(absent).some((seconds) => seconds > 7)).toBe(true);
  for (const [id, seconds] of Object.entries(absent)) {
    const isOfDesk = id.startsWith('desk:');
    expect(earlier[id], id).toBe(isOfDesk ? Math.min(seconds, 7) : seconds);
  }
});

test.each([
  ['require_trace_id', 'nothing runs without a trace id'],
  ['resumable_runs', 'a run whose process ended goes on where it stood'],
])('%s cannot be turned off, and says why', async (key, why) => {
  const { problems } = await refusal({ 'runtime.yaml': swap(`${key}: true`, `${key}: false`) });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ file: 'runtime.yaml', message: `false is not supported: ${why}` });
});
