// Owns the checks of policy.yaml that need more than one key: rule ids, words without effect, a policy that denies nothing.
// P1: where everything is allowed unless a rule says otherwise, at least one denial must stand for every call to meet.
import type { PolicyPart } from './files/policy.ts';
import type { RuntimePart } from './files/runtime.ts';
import type { PathPart, Problems } from './problems.ts';
import type { Budget, PolicyLayer, PolicyRule } from './types.ts';

const FILE = 'policy.yaml';

function layersOf(policy: PolicyPart): { layer: PolicyLayer; path: PathPart[] }[] {
  const named = (
    key: string,
    layers: Record<string, PolicyLayer>,
  ): { layer: PolicyLayer; path: PathPart[] }[] =>
    Object.entries(layers).map(([name, layer]) => ({ layer, path: ['policy', key, name] }));
  return [
    { layer: policy.workspace, path: ['policy', 'workspace'] },
    ...named('lanes', policy.lanes),
    ...named('tasks', policy.tasks),
  ];
}

function checkRule(rule: PolicyRule, path: readonly PathPart[], problems: Problems): void {
  if (rule.id.startsWith('capability.')) {
    problems.add(
      FILE,
      [...path, 'id'],
      'must not begin with capability., which the entries of policy.capabilities have',
    );
  }
  if (rule.decision === 'approval_required') return;
  if (rule.approver !== undefined) {
    problems.add(FILE, [...path, 'approver'], `has no effect with decision ${rule.decision}`);
  }
}

function checkRules(policy: PolicyPart, problems: Problems): void {
  const ids = new Map<string, string>();
  for (const { layer, path } of layersOf(policy)) {
    for (const [at, rule] of layer.rules.entries()) {
      const where = [...path, 'rules', at];
      checkRule(rule, where, problems);
      const first = ids.get(rule.id);
      if (first !== undefined)
        problems.add(FILE, [...where, 'id'], `"${rule.id}" is already the id of a rule in ${first}`);
      else ids.set(rule.id, `${layer.level} ${layer.name}`);
    }
  }
  for (const [name, { decision, approver }] of policy.decisions) {
    if (approver !== undefined && decision !== 'approval_required') {
      problems.add(
        FILE,
        ['policy', 'capabilities', name, 'approver'],
        `has no effect with decision ${decision}`,
      );
    }
  }
}

function checkDenial(policy: PolicyPart, problems: Problems): void {
  const { workspace, decisions, registry, defaultDecision } = policy;
  const opening = workspace.rules.findIndex(
    (rule) => rule.decision === 'allow' && rule.tools === '*' && rule.when === undefined,
  );
  if (defaultDecision !== 'allow' && opening < 0) return;
  const denies =
    registry.denied.length > 0 ||
    workspace.rules.some((rule) => rule.decision === 'deny') ||
    [...decisions.values()].some((one) => one.decision === 'deny');
  if (denies) return;
  const path =
    defaultDecision === 'allow'
      ? ['policy', 'workspace', 'default_decision']
      : ['policy', 'workspace', 'rules', opening];
  problems.add(
    FILE,
    path,
    'allows every call and nothing is denied; add a workspace rule with decision deny or a name to tool_registry.denied',
  );
}

function checkNumbers(policy: PolicyPart, problems: Problems): void {
  if (policy.retry.backoffCapMs < policy.retry.backoffBaseMs) {
    problems.add(FILE, ['policy', 'retry', 'backoff_cap_ms'], 'is less than backoff_base_ms');
  }
}

function checkCost(policy: PolicyPart, runtime: RuntimePart, problems: Problems): void {
  const budgets: [PathPart[], Budget | undefined][] = [
    [[], policy.loopBudget],
    [['per_principal'], policy.loopBudget.perPrincipal],
    [['per_tenant'], policy.loopBudget.perTenant],
  ];
  for (const [path, budget] of budgets) {
    if (budget?.maxCostUsd === undefined) continue;
    for (const profile of runtime.pack?.models.values() ?? []) {
      if (profile.provider === 'scripted' || Object.hasOwn(runtime.settings.prices, profile.model)) continue;
      problems.add(
        FILE,
        ['policy', 'loop_budget', ...path, 'max_cost_usd'],
        `cannot be kept: runtime.prices has no price for the model ${profile.model}`,
      );
    }
  }
}

/** Checks what single keys cannot know; `runtime` is absent when it could not be read. */
export function checkPolicy(policy: PolicyPart, runtime: RuntimePart | undefined, problems: Problems): void {
  checkRules(policy, problems);
  checkDenial(policy, problems);
  checkNumbers(policy, problems);
  if (runtime !== undefined) checkCost(policy, runtime, problems);
}
