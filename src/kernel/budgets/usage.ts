// Owns the arithmetic of usage: what a turn or a call adds, and the tighter of two budgets. No clock, no store.
import type { Budget } from '../../config/types.ts';
import type { Usage } from '../policy/decision.ts';

export const NO_USAGE: Usage = { iterations: 0, tokens: 0, calls: 0, costUsd: 0, effects: 0, wallSeconds: 0 };

/** A number that may be counted: finite and not negative. NaN passes every comparison, so it must never get in. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

const MICRO = 1_000_000;

/** Sums of money are made in whole micro-dollars, so that adding 0.1 ten times is 1. */
function addUsd(a: number, b: number): number {
  return (Math.round(a * MICRO) + Math.round(b * MICRO)) / MICRO;
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    iterations: a.iterations + b.iterations,
    tokens: a.tokens + b.tokens,
    calls: a.calls + b.calls,
    costUsd: addUsd(a.costUsd, b.costUsd),
    effects: a.effects + b.effects,
    wallSeconds: a.wallSeconds + b.wallSeconds,
  };
}

/** One admitted tool call; a write counts as an effect. */
export function addCall(usage: Usage, call: { mode: 'read' | 'write'; wallSeconds: number }): Usage {
  const effects = call.mode === 'write' ? 1 : 0;
  return addUsage(usage, { ...NO_USAGE, calls: 1, effects, wallSeconds: call.wallSeconds });
}

const BUDGET_KEYS = [
  'maxIterations',
  'maxTokens',
  'maxCalls',
  'maxCostUsd',
  'maxEffects',
  'maxWallSeconds',
] as const satisfies readonly (keyof Budget)[];

/** Each limit the smaller of the two. A limit that is not a number stays as it is given, so that it denies. */
export function tighterBudget(a: Budget, b: Budget | undefined): Budget {
  const out: Budget = {};
  for (const key of BUDGET_KEYS) {
    const left = a[key];
    const right = b?.[key];
    if (left !== undefined && !isCount(left)) out[key] = left;
    else if (right !== undefined && !isCount(right)) out[key] = right;
    else if (left !== undefined || right !== undefined)
      out[key] = Math.min(left ?? Infinity, right ?? Infinity);
  }
  return out;
}
