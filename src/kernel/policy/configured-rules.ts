// Owns capability_rule: what the configured rules say. The workspace layer decides, or the default where none of its
// rules matches; catalog, lane and task only tighten.
import type { Capability } from '../../config/types.ts';
import type { RuleContext } from './access-rules.ts';
import { CelInput } from './cel.ts';
import type { Decision, Verdicted } from './decision.ts';
import type { CompiledRule, ToolPlan } from './plan.ts';
import { checkProvenance } from './provenance.ts';
import { approverConflict, deny } from './verdict.ts';

const NO_RULES: readonly CompiledRule[] = [];

function brokenRule({ plan }: RuleContext, rule: CompiledRule, why: string): Verdicted {
  const problem = plan.quote(why);
  return deny('capability_rule', `rule ${rule.id} could not be evaluated: ${problem}`, {
    layer: rule.says.layer,
    aliases: [rule.id, 'cap_410'],
    attributes: { 'policy.rule': rule.id, 'policy.rule_error': problem },
    onDeny: rule.says.onDeny,
  });
}

/** The decision under which a call runs that a person agreed to. */
export function asApproved(decision: Decision, { mode }: Pick<Capability, 'mode'>): Decision {
  return mode === 'write' ? { ...decision, aliases: [...decision.aliases, 'cap_202'] } : decision;
}

interface Matching {
  readonly context: RuleContext;
  readonly variables: CelInput;
  matched: boolean;
  allow: Verdicted | undefined;
}

/** Adds what the rules of one layer demand, and notes whether any matched and which allows. */
function applyRules(rules: readonly CompiledRule[], matching: Matching): void {
  const { context, variables } = matching;
  for (const rule of rules) {
    if (rule.id === context.without) continue;
    const answer = rule.when === undefined ? true : rule.when(variables);
    if (answer === false) continue;
    matching.matched = true;
    if (answer !== true) context.found.push(brokenRule(context, rule, answer.problem));
    else if (rule.says.verdict === 'allow') matching.allow ??= rule.says;
    else context.found.push(rule.says);
  }
}

/** Returns the verdict that allows, if nothing forbids. */
export function checkRules(context: RuleContext, tool: ToolPlan): Verdicted {
  const { input, found } = context;
  const variables = new CelInput(input, tool.cel);
  const matching: Matching = { context, variables, matched: false, allow: undefined };
  const before = found.length;
  applyRules(tool.workspace, matching);
  if (!matching.matched && tool.byDefault.verdict !== 'allow') found.push(tool.byDefault);
  const allowed = matching.allow ?? tool.byDefault;
  applyRules(tool.lanes.get(input.session.lane) ?? NO_RULES, matching);
  applyRules(tool.tasks.get(input.session.task) ?? NO_RULES, matching);
  if (found.length - before + tool.demands.length > 1) {
    const conflict = approverConflict([...tool.demands, ...found.slice(before)]);
    if (conflict !== undefined) found.push(conflict);
  }
  checkProvenance(context, tool);
  found.push(...tool.demands);
  return allowed;
}
