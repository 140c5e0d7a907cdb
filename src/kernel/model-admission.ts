// Owns the gate before a model call: its egress and its budget, decided and reserved in the same commit that records the
// turn's start, so that no provider is called without a record.
import type { CounterMove, Commit, Head } from '../store/contract.ts';
import type { Series } from '../base/series.ts';
import type { ModelProfile, ModelUsage } from '../providers/contract.ts';
import type { Scope } from '../config/types.ts';
import { priceMicroUsd, reservationBound } from './budgets/price.ts';
import { controlsKey, describeRefused, moves } from './budgets/counters.ts';
import type { CountedSession } from './budgets/counters.ts';
import type { SessionBinding } from './call.ts';
import type { KernelDeps } from './deps.ts';
import type { RunContext } from './identity.ts';
import type { Decision, Layer, RuleId } from './policy/decision.ts';
import { limitFacts } from './policy/limit-facts.ts';
import type { LimitKind, LimitOwner } from './policy/limit-facts.ts';

export interface ModelRequest {
  context: RunContext;
  session: SessionBinding;
  profile: ModelProfile;
  inputBytes: number;
  series?: Series | undefined;
}

export type Admission =
  | { ok: true; heads: Head[]; reserved: CounterMove[] }
  | { ok: false; refused: 'denied'; decision: Decision }
  | { ok: false; refused: 'conflict' };

function countedOf(request: ModelRequest): CountedSession {
  const { caller } = request.context;
  return {
    tenant: caller.tenant,
    principal: caller.principal,
    sessionId: request.session.id,
    startedAt: request.session.startedAt,
    limits: request.session.limits,
  };
}

function refusal(
  deps: KernelDeps,
  { ruleId, layer, reason }: { ruleId: RuleId; layer: Layer; reason: string },
  { aliases, attributes }: Pick<Decision, 'aliases' | 'attributes'> = { aliases: [], attributes: {} },
): Admission {
  return {
    ok: false,
    refused: 'denied',
    decision: {
      verdict: 'deny',
      ruleId,
      layer,
      reasons: [reason],
      aliases,
      onDeny: 'end_run',
      policyDigest: deps.config.policy.digest,
      attributes,
      scopes: { requested: [], allowed: [] },
      others: [],
    },
  };
}

function usedUp(
  deps: KernelDeps,
  reason: string,
  limit: { kind: LimitKind; layer: LimitOwner; used: unknown; max: number },
): Admission {
  const { kind, layer } = limit;
  return refusal(deps, { ruleId: 'loop_budget', layer, reason }, limitFacts(layer, kind, limit));
}

/** A layer that turns the network off turns it off for models too; otherwise the profile's own host is what is allowed. */
function offLayer(deps: KernelDeps, request: ModelRequest): Layer | undefined {
  if (request.profile.provider === 'scripted') return undefined;
  const { policy } = deps.config;
  const layers = [policy.workspace, policy.lanes[request.session.lane], policy.tasks[request.session.task]];
  const isOff = (scope: Scope): boolean => scope.type === 'network' && scope.posture === 'off';
  return layers.find((layer) => layer?.scopes?.some(isOff) === true)?.level;
}

/**
 * Nothing is told of a turn before its outcome is on disk, and asking a model again has no effect but its price. A scripted
 * model is part of this process: while its turn is under way nobody else has been asked anything. Where a series is told of
 * outcomes before they are on disk, they are there before a model outside hears of them.
 */
function flushOf({ profile, series }: ModelRequest): Commit['flush'] {
  if (profile.provider === 'scripted') return 'with_next';
  return series === undefined ? 'behind' : undefined;
}

/** Decides, reserves and commits the pack's own appends with it. A refusal commits nothing. */
export async function admitModel(
  deps: KernelDeps,
  request: ModelRequest,
  commit: Commit,
): Promise<Admission> {
  const { config, store, clock } = deps;
  const off = offLayer(deps, request);
  if (off !== undefined)
    return refusal(deps, {
      ruleId: 'scope_boundary',
      layer: off,
      reason: `the ${off} layer turns the network off`,
    });
  const counted = countedOf(request);
  const now = clock.now();
  const wallLimit = config.policy.loopBudget.maxWallSeconds;
  const wall = (now - counted.startedAt) / 1000;
  if (wallLimit !== undefined && !(wall < wallLimit)) {
    const limit = { kind: 'wall', layer: 'session', used: wall, max: wallLimit } as const;
    return usedUp(deps, `wall time of this session is used up (${wallLimit} s)`, limit);
  }
  const bound = reservationBound(config.runtime.prices, request.profile.model, {
    inputBytes: request.inputBytes,
    maxOutputTokens: request.profile.maxOutputTokens,
    attempts: 1,
  });
  const costLimit = config.policy.loopBudget.maxCostUsd;
  if (costLimit !== undefined && bound.microUsd === undefined && request.profile.provider !== 'scripted') {
    const limit = { kind: 'cost', layer: 'session', used: 'unknown', max: costLimit } as const;
    return usedUp(deps, `there is a money budget but no price for ${request.profile.model}`, limit);
  }
  const controls = controlsKey(counted.tenant);
  const epoch = await store.counter(controls);
  const reserved = moves(config.policy, counted, now, {
    iterations: 1,
    tokens: bound.tokens,
    ...(bound.microUsd === undefined ? {} : { cost: bound.microUsd }),
  });
  const done = await store.commit({
    flush: flushOf(request),
    series: request.series,
    after: request.series,
    ...commit,
    counters: [...(commit.counters ?? []), ...reserved],
    guards: [...(commit.guards ?? []), { key: controls, is: epoch }],
  });
  if (done.ok) return { ok: true, heads: done.heads, reserved };
  if (done.refused !== 'counter') return { ok: false, refused: 'conflict' };
  const limit = describeRefused(done);
  const { kind, layer, used, max } = limit;
  // Tokens and money are reserved at the most that a turn may use, so they run out before all of them is used.
  const needs = used < max ? '; a turn may use more than is left' : '';
  return usedUp(deps, `${kind} of this ${layer} are used up (${used} of ${max}${needs})`, limit);
}

function totalTokens(usage: ModelUsage | undefined): number {
  return usage?.total_tokens ?? (usage?.input_tokens ?? Number.NaN) + (usage?.output_tokens ?? Number.NaN);
}

/** What the outcome commit gives back: the reservation less what was really used. Unknown use stays reserved. */
export function settleModel(
  deps: KernelDeps,
  reserved: CounterMove[],
  request: Omit<ModelRequest, 'inputBytes'>,
  usage: ModelUsage | undefined,
): CounterMove[] {
  const total = totalTokens(usage);
  if (!Number.isSafeInteger(total) || total < 0) return [];
  const micro = priceMicroUsd(deps.config.runtime.prices, request.profile.model, {
    input: usage?.input_tokens ?? total,
    output: usage?.output_tokens ?? 0,
  });
  const settled: CounterMove[] = [];
  for (const { key, add } of reserved) {
    if (key.endsWith('|tokens')) settled.push({ key, add: total - add });
    else if (key.endsWith('|cost') && micro !== undefined) settled.push({ key, add: micro - add });
  }
  return settled;
}
