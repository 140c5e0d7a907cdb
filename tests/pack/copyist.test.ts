// When readable copies are made: after the run, one at a time, the newest only, and all of them before the end.
import { expect, test } from 'vitest';
import { createCopyist } from '../../src/pack/managed/copyist.ts';
import type { Copyist } from '../../src/pack/managed/copyist.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { CALLER } from './rig.ts';

const AGES = 60_000;

function bench(): { clock: FakeClock; copies: Copyist; made: string[]; most: () => number } {
  const clock = createFakeClock();
  const made: string[] = [];
  let atOnce = 0;
  let most = 0;
  const copies = createCopyist(clock, async (_caller, id) => {
    most = Math.max(most, ++atOnce);
    await Promise.resolve();
    atOnce -= 1;
    made.push(id);
    if (id === 'broken') throw new Error('no');
  });
  return { clock, copies, made, most: () => most };
}

/** Lets what has been begun end. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

test('a copy is made after a pause, and no answer waits for it', async () => {
  const { clock, copies, made } = bench();
  copies.copyLater(CALLER, 'a');
  await turns();
  expect(made).toEqual([]);
  clock.advance(AGES);
  await turns();
  expect(made).toEqual(['a']);
  expect(clock.pending).toBe(0);
});

test('of a session that goes on only the newest is made, and none while a run is under way', async () => {
  const { clock, copies, made } = bench();
  copies.copyLater(CALLER, 'a');
  const runs = [0, 1].map(() => {
    let end = (): void => undefined;
    const over = copies.during('a', () => new Promise<void>((resolve) => (end = resolve)));
    return { end: () => end(), over };
  });
  clock.advance(AGES);
  await copies.settled();
  runs[0]?.end();
  await runs[0]?.over;
  clock.advance(AGES);
  await turns();
  expect(made).toEqual([]);
  runs[1]?.end();
  await runs[1]?.over;
  copies.copyLater(CALLER, 'a');
  clock.advance(AGES);
  await turns();
  expect(made).toEqual(['a']);
});

test('a run that fails leaves the copy that waited before it', async () => {
  const { clock, copies, made } = bench();
  copies.copyLater(CALLER, 'a');
  const fails = async (): Promise<never> => {
    clock.advance(AGES);
    await turns();
    throw new Error('no');
  };
  await expect(copies.during('a', fails)).rejects.toThrow('no');
  expect(made).toEqual([]);
  clock.advance(AGES);
  await turns();
  expect(made).toEqual(['a']);
});

test('many are made one after the other, the newest first, and one that fails holds up none', async () => {
  const { clock, copies, made, most } = bench();
  copies.copyLater(CALLER, 'broken');
  for (let n = 0; n < 5_000; n++) copies.copyLater(CALLER, `s${n}`);
  clock.advance(1);
  await turns();
  expect(made).toEqual([]);
  clock.advance(AGES);
  await copies.settled();
  expect(made[0]).toBe('s4999');
  expect(made.at(-1)).toBe('broken');
  expect(made).toHaveLength(5_001);
  expect(new Set(made).size).toBe(5_001);
  expect([most(), clock.pending]).toEqual([1, 0]);
});
