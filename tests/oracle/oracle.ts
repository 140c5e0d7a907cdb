// Owns a second, independent reading of the gate's specification (design §6, PO, SC, CI-01/02/09, TC-13), written in
// the plainest way and without a line of src. Where it and the gate differ, one of the two misread the text.
import { pathArguments, schemaFits, urlAllowed, urlArguments, whenHolds } from './oracle-arguments.ts';
import { hostInForce, pathInForce, scopeDenials } from './oracle-scopes.ts';
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
const ask = (ruleId: ORuleId, layer: string): Finding => ({
  ...deny(ruleId, layer),
  verdict: 'approval_required',
});

export function oracleDecide(config: OConfig, input: OInput): OracleAnswer {
  const findings = sorted(everyFinding(config, input));
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
  // The catalog is the configuration's; nothing that comes with the call may replace it.
  const tool = Object.hasOwn(config.capabilities, input.tool) ? config.capabilities[input.tool] : undefined;
  const rules: (() => Finding[])[] = [
    () => precheck(config, input),
    () => registry(config, input),
    () => inventory(config, input, tool),
    () => pin(input, tool),
    () => scopeDenials(config, input, tool).map((layer) => deny('scope_boundary', layer)),
    () => urls(config, input, tool),
    () => paths(config, input, tool),
    () => schema(config, input),
    () => intent(config, input),
    () => capabilityRules(config, input, tool),
    () => cycle(config, input),
    () => budgets(config, input, tool),
  ];
  return rules.flatMap((rule) => {
    try {
      return rule();
    } catch {
      return [deny('kernel_error', 'kernel')];
    }
  });
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
  return bad ? [deny('tool_registry', 'kernel')] : [];
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

/** What a server says of its tools is pinned; `declared` is for definitions that are our own configuration. */
function pin(input: OInput, tool: OTool | undefined): Finding[] {
  const { state } = input.pin;
  const ours = tool === undefined || tool.transport === 'in_process' || tool.transport === 'host';
  return state === 'pinned' || (state === 'declared' && ours) ? [] : [deny('tool_pin', 'kernel')];
}

function urls(config: OConfig, input: OInput, tool: OTool | undefined): Finding[] {
  const bad = urlArguments(tool, input.args).some(
    (text) => !urlAllowed(config, text) || !urlInForce(config, input, tool, text),
  );
  return bad ? [deny('url_allowlist', 'kernel')] : [];
}

/** A networked tool reaches only what workspace, lane, task and the tool itself all leave open. */
export function urlInForce(config: OConfig, input: OInput, tool: OTool | undefined, text: string): boolean {
  if (tool === undefined || tool.networkAccess === 'none') return true;
  const { protocol, host, port } = new URL(text);
  return hostInForce(config, input, tool, port === '' && protocol === 'http:' ? `${host}:80` : host);
}

/** Resolved, without a problem, beneath the sandbox root, no reserved directory, in every scope list in force. */
function paths(config: OConfig, input: OInput, tool: OTool | undefined): Finding[] {
  const { root } = config.policy.sandbox;
  const reserved = [config.directory];
  const within = (path: string, directory: string): boolean => `${path}/`.startsWith(`${directory}/`);
  const bad = input.paths.some(
    (path) =>
      path.problem !== undefined ||
      path.resolved === undefined ||
      !within(path.resolved, root) ||
      path.resolved.split('/').includes('.agent-runtime') ||
      reserved.some((directory) => within(path.resolved ?? '', directory)) ||
      !pathInForce(config, input, tool, path.resolved, path.access),
  );
  const unresolved = pathArguments(tool, input.args).some(
    ({ pointer, given, access }) =>
      !input.paths.some((path) => path.pointer === pointer && path.given === given && path.access === access),
  );
  return bad || unresolved ? [deny('sandbox_path', 'kernel')] : [];
}

function schema(config: OConfig, input: OInput): Finding[] {
  if (config.policy.argSchemaEnforcement === 'off') return [];
  const good = input.inputSchema !== undefined && schemaFits(input.inputSchema, input.args);
  return good ? [] : [deny('arg_schema', 'kernel')];
}

function intent(config: OConfig, input: OInput): Finding[] {
  const named = input.session.intent;
  if (Object.keys(config.intents).length === 0) return [];
  const declared =
    named !== undefined && Object.hasOwn(config.intents, named) ? config.intents[named] : undefined;
  if (declared === undefined) return [deny('intent', 'intent')];
  // contracts.md §2: the effective allow set is the union of the two lists.
  if (declared.approvalRequiredTools.includes(input.tool)) return [ask('intent', 'intent')];
  return declared.allowTools.includes(input.tool) ? [] : [deny('intent', 'intent')];
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
    if (answers.includes('approval_required')) findings.push(ask('capability_rule', layer));
  };
  const workspace = matching(policy.workspace, input);
  const lane = matching(policy.lanes[input.session.lane], input);
  const task = matching(policy.tasks[input.session.task], input);
  add(workspace.length === 0 ? [policy.defaultDecision] : workspace.map((one) => one.decision), 'workspace');
  add(
    lane.map((one) => one.decision),
    'lane',
  );
  add(
    task.map((one) => one.decision),
    'task',
  );
  // One approval cannot be answered by two roles, nor by a role and by anybody but the principal, who may have it; the
  // layer that names the second one is blamed.
  const approvers = new Set<string>();
  const approval = tool?.approval ?? 'none';
  const kernel = approval === 'none' ? [] : [{ decision: 'approval_required' as const, ...approval }];
  for (const [layer, rules] of Object.entries({ kernel, workspace, lane, task })) {
    const before = approvers.size;
    for (const { decision, approver } of rules) {
      if (decision === 'approval_required' && (approver ?? 'principal') !== 'principal')
        approvers.add(approver ?? '');
    }
    if (before < 2 && approvers.size > 1) findings.push(deny('capability_rule', layer));
  }
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

function spent(usage: OUsage | undefined, limits: readonly (OBudget | undefined)[], mode: string): boolean {
  return KINDS.some(([used, max]) => {
    const value = usage?.[used];
    if (value !== undefined && !Number.isFinite(value)) return true;
    return limits.some((budget) => {
      const bound = budget?.[max];
      if (bound === undefined) return false;
      if (!Number.isFinite(bound) || value === undefined) return true;
      // Effects are calls with mode write: a read cannot spend them.
      return value >= bound && (used !== 'effects' || mode === 'write');
    });
  });
}

function budgets(config: OConfig, input: OInput, tool: OTool | undefined): Finding[] {
  const { loopBudget } = config.policy;
  const { session, principal, tenant } = input.history;
  const mode = tool?.mode ?? 'write';
  const findings: Finding[] = [];
  // A budget whose usage nobody knows is spent.
  if (principal === undefined && loopBudget.perPrincipal !== undefined) {
    findings.push(deny('loop_budget', 'principal'));
  }
  if (tenant === undefined && loopBudget.perTenant !== undefined)
    findings.push(deny('loop_budget', 'tenant'));
  if (spent(session, [loopBudget, input.limits], mode)) findings.push(deny('loop_budget', 'session'));
  if (spent(principal, [loopBudget.perPrincipal], mode)) findings.push(deny('loop_budget', 'principal'));
  if (spent(tenant, [loopBudget.perTenant], mode)) findings.push(deny('loop_budget', 'tenant'));
  return findings;
}
