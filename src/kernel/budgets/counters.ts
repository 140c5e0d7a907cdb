// Owns the counters of budgets and cycles in the store: their keys, what is read before deciding, and the moves that ride
// in a commit. A counter with a max is the hard bound; what was read before is only what the decision explains.
import { sha256 } from '../../base/digest.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { Budget, Policy } from '../../config/types.ts';
import type { CounterMove, Guard, Store } from '../../store/contract.ts';
import type { CallHistory } from '../policy/decision.ts';
import { NO_USAGE, tighterBudget } from './usage.ts';

export type Dimension = 'iterations' | 'tokens' | 'calls' | 'cost' | 'effects';

/** Whose use is counted; windows begin at multiples of their length. */
interface Holder {
  layer: 'session' | 'principal' | 'tenant';
  prefix: string;
  budget: Budget;
}

export interface CountedSession {
  tenant: string;
  principal: string;
  sessionId: string;
  startedAt: EpochMs;
  limits: Budget | undefined;
}

const LIMIT_OF: Record<Dimension, keyof Budget> = {
  iterations: 'maxIterations',
  tokens: 'maxTokens',
  calls: 'maxCalls',
  cost: 'maxCostUsd',
  effects: 'maxEffects',
};

const DIMENSIONS = Object.keys(LIMIT_OF) as Dimension[];

// A separator that encodeURIComponent never leaves in a part, so that no two holders share a key.
function key(first: string, ...parts: string[]): string {
  let text = encodeURIComponent(first);
  for (const part of parts) text += `|${encodeURIComponent(part)}`;
  return text;
}

function limitsOf({ loopBudget }: Policy, { limits }: CountedSession): Budget {
  return limits === undefined ? loopBudget : tighterBudget(loopBudget, limits);
}

function holders(policy: Policy, session: CountedSession, now: EpochMs): Holder[] {
  const list: Holder[] = [
    {
      layer: 'session',
      prefix: key(session.tenant, 's', session.sessionId),
      budget: limitsOf(policy, session),
    },
  ];
  const { perPrincipal, perTenant } = policy.loopBudget;
  if (perPrincipal !== undefined) {
    const bucket = Math.floor(now / (perPrincipal.windowSeconds * 1000));
    list.push({
      layer: 'principal',
      prefix: key(session.tenant, 'p', session.principal, String(bucket)),
      budget: perPrincipal,
    });
  }
  if (perTenant !== undefined) {
    const bucket = Math.floor(now / (perTenant.windowSeconds * 1000));
    list.push({ layer: 'tenant', prefix: key(session.tenant, 't', String(bucket)), budget: perTenant });
  }
  return list;
}

/** Money is counted in whole micro-dollars. */
function toUnits(dimension: Dimension, limit: number): number {
  return dimension === 'cost' ? Math.floor(limit * 1_000_000) : limit;
}

function fromUnits(dimension: Dimension, value: number): number {
  return dimension === 'cost' ? value / 1_000_000 : value;
}

interface Reading {
  layer: Holder['layer'];
  dimension: Dimension;
}

/** Key of the count of one exact call in one session. */
export function repeatKey(session: CountedSession, tool: string, canonicalArgs: string): string {
  const digest = sha256(`${tool}\n${canonicalArgs}`).slice(0, 32);
  return `${key(session.tenant, 's', session.sessionId)}|rep|${digest}`;
}

// One number tells both: the second in which the window of a call began, and how often it ran since. A window begins
// with the first call after the last one ended, so a loop cannot hide across an edge, and nothing is kept per window.
const MOST_COUNTED = 2 ** 21;

/** How often the call ran in its window that is in force; 0 when none is. */
export function repeatsIn(value: number, now: EpochMs, windowSeconds: number): number {
  const began = Math.floor(value / MOST_COUNTED) * 1000;
  // Asked so that a length that is no number forgets nothing.
  return now - began >= windowSeconds * 1000 ? 0 : value % MOST_COUNTED;
}

/** Whether two values of the count are of the same window. */
export function isSameWindow(a: number, b: number): boolean {
  return Math.floor(a / MOST_COUNTED) === Math.floor(b / MOST_COUNTED);
}

/** Counts one more run: in the window in force, where such moves commute, or as the first of a new one, where they do
 * not and the value that was read must still be there. */
export function repeatMove(
  counted: { key: string; value: number },
  cycle: Policy['cycle'],
  now: EpochMs,
): { move: CounterMove; guards: Guard[] } {
  const { key: of, value } = counted;
  if (repeatsIn(value, now, cycle.windowSeconds) > 0) {
    const most = Math.min(cycle.maxRepeats, MOST_COUNTED - 1);
    return { move: { key: of, add: 1, max: value - (value % MOST_COUNTED) + most }, guards: [] };
  }
  const first = Math.ceil(now / 1000) * MOST_COUNTED + 1;
  return { move: { key: of, add: first - value }, guards: [{ key: of, is: value }] };
}

/**
 * Takes back what was counted before the run that began at `at`, because it returned something else: its own is the first of
 * a new window. Holds only where no equal call has begun since. Undefined: nothing was counted before.
 */
export function restartMove(
  counted: { key: string; value: number },
  cycle: Policy['cycle'],
  at: EpochMs,
): { move: CounterMove; guard: Guard } | undefined {
  const value = counted.value + repeatMove(counted, cycle, at).move.add;
  if (value % MOST_COUNTED <= 1) return undefined;
  const first = Math.ceil(at / 1000) * MOST_COUNTED + 1;
  return { move: { key: counted.key, add: first - value }, guard: { key: counted.key, is: value } };
}

/** Which counters say what has been used so far, and what they say. Only limited dimensions are counted. */
export interface Counted {
  keys: string[];
  history(values: readonly number[], repeats: number): CallHistory;
}

export function countedUse(policy: Policy, session: CountedSession, now: EpochMs): Counted {
  const all = holders(policy, session, now);
  const keys: string[] = [];
  const readings: Reading[] = [];
  for (const { layer, prefix, budget } of all) {
    for (const dimension of DIMENSIONS) {
      if (budget[LIMIT_OF[dimension]] === undefined) continue;
      keys.push(`${prefix}|${dimension}`);
      readings.push({ layer, dimension });
    }
  }
  return {
    keys,
    history(values, repeats) {
      const history: CallHistory = { repeats, session: { ...NO_USAGE } };
      for (const { layer } of all) if (layer !== 'session') history[layer] = { ...NO_USAGE };
      history.session.wallSeconds = Math.max(0, (now - session.startedAt) / 1000);
      readings.forEach(({ layer, dimension }, index) => {
        const usage = history[layer];
        const value = values[index] ?? 0;
        if (usage === undefined) return;
        usage[dimension === 'cost' ? 'costUsd' : dimension] = fromUnits(dimension, value);
      });
      return history;
    },
  };
}

/** What has been used so far, for the decision. */
export async function readHistory(
  store: Store,
  policy: Policy,
  session: CountedSession,
  at: { now: EpochMs; repeats: number },
): Promise<CallHistory> {
  const counted = countedUse(policy, session, at.now);
  return counted.history(await store.counters(counted.keys), at.repeats);
}

/** Counts freezes and revocations of a tenant; what was decided before one is decided again. */
export function controlsKey(tenant: string): string {
  return key(tenant, 'controls');
}

/** The moves that take `adds` out of every budget that limits them. */
export function moves(
  policy: Policy,
  session: CountedSession,
  now: EpochMs,
  adds: Partial<Record<Dimension, number>>,
): CounterMove[] {
  const list: CounterMove[] = [];
  for (const holder of holders(policy, session, now)) {
    for (const dimension of DIMENSIONS) {
      const limit = holder.budget[LIMIT_OF[dimension]];
      const add = adds[dimension];
      if (limit === undefined || add === undefined || add === 0) continue;
      list.push({ key: `${holder.prefix}|${dimension}`, add, max: toUnits(dimension, limit) });
    }
  }
  return list;
}

/** Which budget a refused counter bounds, in the unit of its limit. */
export function describeRefused({ key: of, value, max }: { key: string; value: number; max: number }): {
  layer: Holder['layer'];
  kind: Dimension;
  used: number;
  max: number;
} {
  const parts = of.split('|');
  const layer = parts[1] === 'p' ? 'principal' : parts[1] === 't' ? 'tenant' : 'session';
  const kind = DIMENSIONS.find((dimension) => dimension === parts.at(-1)) ?? 'calls';
  return { layer, kind, used: fromUnits(kind, value), max: fromUnits(kind, max) };
}
