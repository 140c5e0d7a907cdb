// Owns a second, independent reading of the gate's specification (design §6, PO, SC, CI-01/02/09, TC-13), written in
// the plainest way and without a line of src. Where it and the gate differ, one of the two misread the text.
import { schemaFits, urlAllowed, urlArguments, whenHolds } from './oracle-arguments.ts';
import { scopeDenials } from './oracle-scopes.ts';
import type { Answer, OBudget, OConfig, OInput, OLayer, OTool, OUsage } from './shapes.ts';

/** The fixed order in which denials are reported. */
export const ORDER = [
  'run_precheck',
  'tool_registry',
  'inventory',
  'tool_pin',
  'scope_boundary',
  'url_allowlist',
  'sandbox_path',
  'arg_schema',
  'intent',
  'capability_rule',
  'cycle_detection',
  'loop_budget',
  'kernel_error',
] as const;
export type ORuleId = (typeof ORDER)[number];
export const LAYERS = [
  'kernel',
  'workspace',
  'lane',
  'task',
  'intent',
  'session',
  'principal',
  'tenant',
] as const;
export type OLayerName = (typeof LAYERS)[number];

export interface Finding {
  verdict: Exclude<Answer, 'allow'>;
  ruleId: ORuleId;
  layer: OLayerName;
}

export interface OracleAnswer {
  verdict: Answer;
  ruleId: ORuleId;
  /** Every denial and demand, the deciding one first, then by strictness, rule order and layer order. */
  findings: Finding[];
}

const deny = (ruleId: ORuleId, layer: string): Finding => ({
  verdict: 'deny',
  ruleId,
  layer: layer as OLayerName,
});
const ask = (ruleId: ORuleId, layer: string): Finding => ({ ...deny(ruleId, layer), verdict: 'approval_required' });

export function oracleDecide(config: OConfig, input: OInput): OracleAnswer {
  let found: Finding[];
  try {
    found = everyFinding(config, input);
  } catch {
    found = [deny('kernel_error', 'kernel')];
  }
  const findings = sorted(found);
  const first = findings[0];
  if (first === undefined) return { verdict: 'allow', ruleId: 'capability_rule', findings };
  return { verdict: first.verdict, ruleId: first.ruleId, findings };
}

/** Deny before approval_required; then rule order; then layer order; one finding per rule, layer and verdict. */
function sorted(found: Finding[]): Finding[] {
  const result: Finding[] = [];
  for (const verdict of ['deny', 'approval_required'] as const) {
    for (const ruleId of ORDER) {
      for (const layer of LAYERS) {
        const one = found.find((f) => f.verdict === verdict && f.ruleId === ruleId && f.layer === layer);
        if (one !== undefined) result.push(one);
      }
    }
  }
  return result;
}

function everyFinding(config: OConfig, input: OInput): Finding[] {
  const tool = input.capability;
  return [
    ...precheck(config, input),
    ...registry(config, input),
    ...inventory(config, input, tool),
    ...pin(input),
    ...(tool === undefined ? [] : scopeDenials(config, input, tool)).map((l) => deny('scope_boundary', l)),
    ...urls(config, input, tool),
    ...paths(config, input),
    ...schema(config, input),
    ...intent(config, input),
    ...capabilityRules(config, input, tool),
    ...cycle(config, input),
    ...budgets(config, input),
  ];
}

function precheck(config: OConfig, input: OInput): Finding[] {
  const { requireTenant, denyIfPrincipalMissing } = config.policy.precheck;
  const bad =
    (requireTenant && input.caller.tenant === '') ||
    (denyIfPrincipalMissing && input.caller.principal === '') ||
    input.agentId !== config.agent.id;
  return bad ? [deny('run_precheck', 'kernel')] : [];
}

function registry(config: OConfig, input: OInput): Finding[] {
  const { allowed, denied } = config.policy.registry;
  const bad = denied.includes(input.tool) || !allowed.includes(input.tool);
  return bad ? [deny('tool_registry', 'workspace')] : [];
}

function inventory(config: OConfig, input: OInput, tool: OTool | undefined): Finding[] {
  if (tool === undefined) return [deny('inventory', 'kernel')];
  const { roles } = input.caller;
  const operator = roles.includes('operator') || roles.includes('admin');
  const networked = tool.networkAccess !== 'none';
  const bad =
    !config.agent.approvedCapabilities.includes(input.tool) ||
    (tool.permission === 'admin' && !operator) ||
    (tool.class === 'exec' && !tool.sandboxed) ||
    (networked && !config.policy.execution.allowNetworkAccess.includes(tool.networkAccess)) ||
    (networked && tool.allowedEgress.length === 0);
  return bad ? [deny('inventory', 'kernel')] : [];
}

function pin(input: OInput): Finding[] {
  const good = input.pin.state === 'pinned' || input.pin.state === 'declared';
  return good ? [] : [deny('tool_pin', 'kernel')];
}

function urls(config: OConfig, input: OInput, tool: OTool | undefined): Finding[] {
  const bad = urlArguments(tool, input.args).some((text) => !urlAllowed(config, text));
  return bad ? [deny('url_allowlist', 'workspace')] : [];
}

function paths(config: OConfig, input: OInput): Finding[] {
  const { root } = config.policy.sandbox;
  const bad = input.paths.some(
    ({ resolved, problem }) =>
      problem !== undefined || resolved === undefined || !`${resolved}/`.startsWith(`${root}/`),
  );
  return bad ? [deny('sandbox_path', 'workspace')] : [];
}

function schema(config: OConfig, input: OInput): Finding[] {
  if (config.policy.argSchemaEnforcement === 'off') return [];
  const good = input.inputSchema !== undefined && schemaFits(input.inputSchema, input.args);
  return good ? [] : [deny('arg_schema', 'kernel')];
}

function intent(config: OConfig, input: OInput): Finding[] {
  const named = input.session.intent;
  if (Object.keys(config.intents).length === 0) return [];
  const declared = named !== undefined && Object.hasOwn(config.intents, named) ? config.intents[named] : undefined;
  if (declared === undefined) return [deny('intent', 'intent')];
  if (!declared.allowTools.includes(input.tool)) return [deny('intent', 'intent')];
  return declared.approvalRequiredTools.includes(input.tool) ? [ask('intent', 'intent')] : [];
}

/** Answers of a layer's matching rules; a rule whose expression fails denies. */
function matching(layer: OLayer | undefined, input: OInput): { decision: Answer; approver?: string }[] {
  return (layer?.rules ?? [])
    .filter((rule) => rule.tools === '*' || rule.tools.includes(input.tool))
    .flatMap((rule): { decision: Answer; approver?: string }[] => {
      const holds = rule.when === undefined ? true : whenHolds(rule.when, input);
      if (holds === 'error') return [{ decision: 'deny' }];
      return holds ? [rule] : [];
    });
}

function capabilityRules(config: OConfig, input: OInput, tool: OTool | undefined): Finding[] {
  const { policy } = config;
  const findings: Finding[] = [];
  const add = (answers: readonly Answer[], layer: string): void => {
    if (answers.includes('deny')) findings.push(deny('capability_rule', layer));
    else if (answers.includes('approval_required')) findings.push(ask('capability_rule', layer));
  };
  const workspace = matching(policy.workspace, input);
  add(workspace.length === 0 ? [policy.defaultDecision] : workspace.map((one) => one.decision), 'workspace');
  const approvers = workspace.flatMap((one) =>
    one.decision === 'approval_required' && one.approver?.startsWith('role:') === true ? [one.approver] : [],
  );
  if (new Set(approvers).size > 1) findings.push(deny('capability_rule', 'workspace'));
  add(matching(policy.lanes[input.session.lane], input).map((one) => one.decision), 'lane');
  add(matching(policy.tasks[input.session.task], input).map((one) => one.decision), 'task');
  if (tool !== undefined && (tool.approval !== 'none' || tool.risk === 'critical')) {
    findings.push(ask('capability_rule', 'kernel'));
  }
  return findings;
}

function cycle(config: OConfig, input: OInput): Finding[] {
  const { repeats } = input.history;
  const bad = !Number.isFinite(repeats) || repeats >= config.policy.cycle.maxRepeats;
  return bad ? [deny('cycle_detection', 'session')] : [];
}

const KINDS: readonly (readonly [keyof OUsage, keyof OBudget])[] = [
  ['iterations', 'maxIterations'],
  ['tokens', 'maxTokens'],
  ['calls', 'maxCalls'],
  ['costUsd', 'maxCostUsd'],
  ['effects', 'maxEffects'],
  ['wallSeconds', 'maxWallSeconds'],
];

function spent(usage: OUsage | undefined, limits: readonly (OBudget | undefined)[]): boolean {
  return KINDS.some(([used, max]) => {
    const value = usage?.[used];
    if (value !== undefined && !Number.isFinite(value)) return true;
    return limits.some((budget) => {
      const bound = budget?.[max];
      if (bound === undefined) return false;
      return !Number.isFinite(bound) || value === undefined || value >= bound;
    });
  });
}

function budgets(config: OConfig, input: OInput): Finding[] {
  const { loopBudget } = config.policy;
  const { history } = input;
  const findings: Finding[] = [];
  if (spent(history.session, [loopBudget, input.limits])) findings.push(deny('loop_budget', 'session'));
  if (spent(history.principal, [loopBudget.perPrincipal])) findings.push(deny('loop_budget', 'principal'));
  if (spent(history.tenant, [loopBudget.perTenant])) findings.push(deny('loop_budget', 'tenant'));
  return findings;
}
