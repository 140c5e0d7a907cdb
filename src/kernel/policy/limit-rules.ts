// Owns cycle_detection and loop_budget. L1: a number that is not finite denies, because every comparison with it is
// false and the limit would never be reached.
import type { Budget } from '../../config/types.ts';
import { isCount, tighterBudget } from '../budgets/usage.ts';
import type { RuleContext } from './access-rules.ts';
import type { Usage } from './decision.ts';
import { cycleFacts, LIMIT_KINDS, limitFacts } from './limit-facts.ts';
import type { LimitMeasure, LimitOwner } from './limit-facts.ts';
import { deny } from './verdict.ts';

export function checkCycle({ plan, input, found }: RuleContext): void {
  const { repeats } = input.history;
  const { maxRepeats } = plan.config.policy.cycle;
  if (isCount(repeats) && isCount(maxRepeats) && repeats < maxRepeats) return;
  const reason =
    isCount(repeats) && isCount(maxRepeats)
      ? `the same call has run ${repeats} times, and ${maxRepeats} is the most`
      : 'the count of earlier identical calls is not a number';
  found.push(deny('cycle_detection', reason, { layer: 'session', ...cycleFacts(repeats, maxRepeats) }));
}

function refuse(
  { found }: RuleContext,
  owner: LimitOwner,
  kind: LimitMeasure,
  values: [unknown, unknown],
): void {
  const [used, max] = values;
  const isKnown = isCount(used) && isCount(max);
  const reason = isKnown
    ? `the ${owner} has used ${used} of ${max} ${kind.kind}`
    : `the ${kind.kind} of the ${owner}, used or allowed, is not a number`;
  found.push(deny('loop_budget', reason, { layer: owner, ...limitFacts(owner, kind.kind, { used, max }) }));
}

/** A read is no effect, so it cannot use up the effects. */
function isFree({ tool }: RuleContext, kind: string): boolean {
  return kind === 'effects' && tool?.capability.mode === 'read';
}

function isUsedUp(used: number, max: number | undefined): boolean {
  return !isCount(used) || (max !== undefined && (!isCount(max) || used >= max));
}

/** The common answer, in one look; what is used up is then named by kind. */
function isWithin(usage: Usage, budget: Budget): boolean {
  return !(
    isUsedUp(usage.iterations, budget.maxIterations) ||
    isUsedUp(usage.tokens, budget.maxTokens) ||
    isUsedUp(usage.calls, budget.maxCalls) ||
    isUsedUp(usage.costUsd, budget.maxCostUsd) ||
    isUsedUp(usage.effects, budget.maxEffects) ||
    isUsedUp(usage.wallSeconds, budget.maxWallSeconds)
  );
}

function checkOwner(context: RuleContext, owner: LimitOwner, usage: Usage | undefined, budget: Budget): void {
  if (usage === undefined) {
    context.found.push(
      deny('loop_budget', `the usage of the ${owner} is not known, and it has a budget`, {
        layer: owner,
        aliases: ['PG3', `budget:${owner}:unknown`],
        attributes: { 'policy.limit_kind': 'unknown', 'policy.limit_layer': owner },
      }),
    );
    return;
  }
  if (isWithin(usage, budget)) return;
  for (const kind of LIMIT_KINDS) {
    const used = usage[kind.of];
    const max = budget[kind.max];
    if (!isCount(used) || (max !== undefined && !isCount(max))) refuse(context, owner, kind, [used, max]);
    else if (max !== undefined && used >= max && !isFree(context, kind.kind))
      refuse(context, owner, kind, [used, max]);
  }
}

function checkSession(context: RuleContext, usage: Usage | undefined, loopBudget: Budget): void {
  const { limits } = context.input;
  if (limits === undefined) checkOwner(context, 'session', usage, loopBudget);
  // What is within both is within the tighter one, which need not be made then.
  else if (usage === undefined || !isWithin(usage, loopBudget) || !isWithin(usage, limits)) {
    checkOwner(context, 'session', usage, tighterBudget(loopBudget, limits));
  }
}

export function checkBudget(context: RuleContext): void {
  const { plan, input } = context;
  const { loopBudget } = plan.config.policy;
  checkSession(context, input.history.session, loopBudget);
  const { principal, tenant } = input.history;
  if (loopBudget.perPrincipal !== undefined)
    checkOwner(context, 'principal', principal, loopBudget.perPrincipal);
  else if (principal !== undefined) checkOwner(context, 'principal', principal, {});
  if (loopBudget.perTenant !== undefined) checkOwner(context, 'tenant', tenant, loopBudget.perTenant);
  else if (tenant !== undefined) checkOwner(context, 'tenant', tenant, {});
}
