// Owns the proof that a time is said as what it is, also where one is said twice in a row.
import { expect, test } from 'vitest';
import { isoTime } from '../../src/base/clock.ts';

test('each time has its own text, also after another one', () => {
  const times = [0, 0, -0, 1_795_291_793_245, 1_795_291_793_246, 1_795_291_793_245, -1, 8.64e15];
  expect(times.map(isoTime)).toEqual(times.map((at) => new Date(at).toISOString()));
  for (const none of [Number.NaN, Number.NaN, 8.64e15 + 1]) expect(() => isoTime(none)).toThrow(RangeError);
  expect(isoTime(5)).toBe('1970-01-01T00:00:00.005Z');
});
