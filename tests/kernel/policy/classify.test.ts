import fc from 'fast-check';
import { expect, test } from 'vitest';
import { priceMicroUsd, reservationBound } from '../../../src/kernel/budgets/price.ts';
import { addCall, addUsage, NO_USAGE, tighterBudget } from '../../../src/kernel/budgets/usage.ts';
import { classify } from '../../../src/kernel/policy/classify.ts';
import type { FailureRecord } from '../../../src/kernel/policy/classify.ts';
import { RULE_ORDER } from '../../../src/kernel/policy/decision.ts';
import { verifies } from '../../e2e/verifies.ts';

const denial = (
  ruleId: (typeof RULE_ORDER)[number],
  onDeny: 'tell_model' | 'end_run' = 'tell_model',
): FailureRecord => ({
  denials: [{ ruleId, onDeny }],
});

verifies(['RF-09'], 'the precedence is F3, F4, F2, F1, F5, and every other denial has a mode too', () => {
  const schema = denial('arg_schema');
  const cycle = denial('cycle_detection');
  const exhausted: FailureRecord = { retryOutcomes: ['transient_failure', 'exhausted'] };
  const recovered: FailureRecord = { retryOutcomes: ['transient_failure', 'success'] };
  const thrown: FailureRecord = { exceptionClass: 'TypeError' };
  const all = [thrown, recovered, exhausted, cycle, schema];
  const modes = ['F3', 'F4', 'F2', 'F1', 'F5', 'none'];
  expect(modes.map((_, at) => classify(all.slice(0, all.length - at)).mode)).toEqual(modes);
  for (const rule of RULE_ORDER) expect(classify([denial(rule)]).mode, rule).not.toBe('none');
  expect(classify([denial('url_allowlist')])).toEqual({
    mode: 'denied',
    name: 'policy_denied',
    terminalReason: 'final_answer',
  });
  expect(classify([denial('url_allowlist', 'end_run')]).terminalReason).toBe('policy_denial_terminal');
  expect(classify([denial('loop_budget')]).terminalReason).toBe('loop_budget');
  expect(classify([{ retryOutcomes: ['success'] }])).toEqual({
    mode: 'none',
    name: 'none',
    terminalReason: 'final_answer',
  });
});

verifies({ partial: ['RF-06', 'RF-07', 'RF-08', 'RF-18'] }, 'each mode has its one terminal reason', () => {
  expect(classify([denial('arg_schema')])).toEqual({
    mode: 'F3',
    name: 'schema_mismatch',
    terminalReason: 'failure_mode_terminal',
  });
  expect(classify([denial('cycle_detection')])).toEqual({
    mode: 'F4',
    name: 'cycle_detection',
    terminalReason: 'policy_denial_terminal',
  });
  expect(classify([{ exceptionClass: 'X' }])).toEqual({
    mode: 'F5',
    name: 'catalogued_unhandled',
    terminalReason: 'failure_mode_terminal',
  });
  expect(classify([{ retryOutcomes: ['exhausted'] }]).terminalReason).toBe('failure_mode_terminal');
});

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
