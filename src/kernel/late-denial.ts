// Owns the denials of a call that deciding had let through: what the commit of its start refused, and what nobody can run.
import type { KernelRule, RuntimeConfig } from '../config/types.ts';
import { describeRefused } from './budgets/counters.ts';
import { consequenceOf } from './policy/decision.ts';
import type { Decision } from './policy/decision.ts';
import { cycleFacts, limitFacts } from './policy/limit-facts.ts';

function deniedBy(
  { policy }: RuntimeConfig,
  decision: Decision,
  by: Pick<Decision, 'layer' | 'reasons'> & { ruleId: KernelRule },
): Decision {
  return { ...decision, verdict: 'deny', onDeny: consequenceOf(policy, by.ruleId), ...by };
}

export function unreachable(config: RuntimeConfig, decision: Decision): Decision {
  const reason = 'no executor of this process serves the transport of this capability';
  const reasons = [reason, ...decision.reasons];
  return deniedBy(config, decision, { ruleId: 'inventory', layer: 'kernel', reasons });
}

/** Others used up the budget between deciding and committing: the same denial that deciding would have given. */
export function usedUp(
  config: RuntimeConfig,
  decision: Decision,
  refused: { key: string; value: number; max: number },
): Decision {
  const limit = describeRefused(refused);
  const { layer, kind, used, max } = limit;
  const reasons = [`${kind} of this ${layer} are used up (${used} of ${max})`];
  const facts = limitFacts(layer, kind, limit);
  return { ...deniedBy(config, decision, { ruleId: 'loop_budget', layer, reasons }), ...facts };
}

/** Others repeated the same call in between. */
export function repeatedByOthers(config: RuntimeConfig, decision: Decision, repeats: number): Decision {
  const { maxRepeats } = config.policy.cycle;
  const reasons = [`repeats of this session are used up (${repeats} of ${maxRepeats})`];
  const facts = cycleFacts(repeats, maxRepeats);
  return {
    ...deniedBy(config, decision, { ruleId: 'cycle_detection', layer: 'session', reasons }),
    ...facts,
  };
}
