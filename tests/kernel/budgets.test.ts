import fc from 'fast-check';
import { expect, test } from 'vitest';
import { priceMicroUsd, reservationBound } from '../../src/kernel/budgets/price.ts';
import { addCall, addUsage, NO_USAGE, tighterBudget } from '../../src/kernel/budgets/usage.ts';

test('money is exact, an unknown price is not zero, and a bound is never below the cost', () => {
  const prices = { m: { inputPerMillionUsd: 0.15, outputPerMillionUsd: 2.5 } };
  expect(priceMicroUsd(prices, 'm', { input: 1_000_000, output: 0 })).toBe(150_000);
  expect(priceMicroUsd(prices, 'm', { input: 1, output: 0 })).toBe(1);
  for (const model of ['x', 'constructor'])
    expect(priceMicroUsd(prices, model, { input: 1, output: 1 })).toBeUndefined();
  expect(priceMicroUsd(prices, 'm', { input: NaN, output: 0 })).toBeUndefined();
  fc.assert(
    fc.property(
      fc.nat(1_000_000),
      fc.nat(10_000),
      fc.integer({ min: 1, max: 5 }),
      (bytes, output, attempts) => {
        const bound = reservationBound(prices, 'm', { inputBytes: bytes, maxOutputTokens: output, attempts });
        expect(bound.tokens).toBe((bytes + output) * attempts);
        expect(bound.microUsd).toBeGreaterThanOrEqual(
          priceMicroUsd(prices, 'm', { input: bytes, output }) ?? Infinity,
        );
      },
    ),
  );
});

test('usage adds up, and budgets only tighten', () => {
  let usage = NO_USAGE;
  const turn = { ...NO_USAGE, iterations: 1, tokens: 3, costUsd: 0.1 };
  for (let at = 0; at < 10; at++) usage = addUsage(usage, turn);
  expect(usage).toMatchObject({ iterations: 10, tokens: 30, costUsd: 1 });
  expect(addCall(usage, { mode: 'write', wallSeconds: 2 })).toMatchObject({
    calls: 1,
    effects: 1,
    wallSeconds: 2,
  });
  expect(addCall(usage, { mode: 'read', wallSeconds: 0 }).effects).toBe(0);
  expect(addUsage(usage, NO_USAGE)).toEqual(usage);
  expect(tighterBudget({ maxCalls: 5 }, { maxCalls: 7, maxTokens: 1 })).toEqual({
    maxCalls: 5,
    maxTokens: 1,
  });
  expect(tighterBudget({ maxCalls: NaN }, { maxCalls: 7 }).maxCalls).toBeNaN();
});
