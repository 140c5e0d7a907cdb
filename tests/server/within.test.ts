// Waiting for an end for no longer than a grace leaves no timer behind, however it ends.
import { expect, test } from 'vitest';
import { within } from '../../src/server/within.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';

test('work that ends takes its timer back', async () => {
  const clock = createFakeClock();
  await within(clock, 1000, Promise.resolve());
  expect(clock.pending).toBe(0);
});

test('work that fails takes its timer back, and its failure is passed on', async () => {
  const clock = createFakeClock();
  await expect(within(clock, 1000, Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(clock.pending).toBe(0);
});

test('work that does not end is left after the grace', async () => {
  const clock = createFakeClock();
  const left = within(clock, 1000, new Promise(() => undefined));
  clock.advance(1000);
  await left;
  expect(clock.pending).toBe(0);
});
