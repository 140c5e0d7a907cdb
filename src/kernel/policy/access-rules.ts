// Owns the rules that ask who calls and which tool: run_precheck, tool_registry, inventory, tool_pin, scope_boundary,
// intent. None of them looks at the arguments.
import type { JsonObject } from '../../base/json.ts';
import { isOperator } from '../identity.ts';
import type { EffectiveScope } from '../scopes/effective.ts';
import type { DecisionInput, Verdicted } from './decision.ts';
import type { Plan, ToolPlan } from './plan.ts';
import { deny, verdict } from './verdict.ts';

/** What every rule sees; verdicts that are not a plain allow are added to `found`. */
export interface RuleContext {
  readonly plan: Plan;
  readonly input: DecisionInput;
  /** undefined: the catalog does not have it. */
  readonly tool: ToolPlan | undefined;
  readonly scope: EffectiveScope | undefined;
  readonly found: Verdicted[];
  /** A configured rule that is taken as absent, to explain what it changes. */
  readonly without: string | undefined;
}

// A name is short; a longer one was made up.
const shown = ({ quote }: Plan, name: string): string => quote(name, 120);

export function checkPrecheck({ plan, input, found }: RuleContext): void {
  const { precheck } = plan.config.policy;
  const { caller, agentId } = input;
  if (precheck.requireTenant && caller.tenant.trim() === '') {
    found.push(deny('run_precheck', 'tenant_missing: the caller has no tenant', { aliases: ['run_001'] }));
  }
  if (precheck.denyIfPrincipalMissing && caller.principal.trim() === '') {
    found.push(
      deny('run_precheck', 'principal_missing: the caller has no principal', { aliases: ['run_002'] }),
    );
  }
  if (agentId === '' || agentId !== plan.config.agent.id) {
    const reason =
      agentId === ''
        ? 'agent_identity_missing: no agent is named'
        : `agent_identity_missing: ${shown(plan, agentId)} is not the configured agent`;
    found.push(
      deny('run_precheck', reason, {
        aliases: ['run_003'],
        attributes: { 'policy.agent_id': shown(plan, agentId) },
      }),
    );
  }
}

export function checkRegistry({ plan, input, found }: RuleContext): void {
  const refuse = (match: 'denied' | 'not_in_allowlist', reason: string): void => {
    const attributes = { 'policy.requested_tool': shown(plan, input.tool), 'policy.registry_match': match };
    found.push(deny('tool_registry', reason, { aliases: ['PG4', `registry:${match}`], attributes }));
  };
  if (plan.denied.has(input.tool))
    refuse('denied', `${shown(plan, input.tool)} is on the registry's denied list`);
  if (!plan.allowed.has(input.tool)) {
    refuse('not_in_allowlist', `${shown(plan, input.tool)} is not on the registry's allowed list`);
  }
}

function checkNetwork({ plan, found }: RuleContext, { capability }: ToolPlan): void {
  const { networkAccess, allowedEgress, id } = capability;
  if (networkAccess === 'none') return;
  const attributes = { 'policy.tool': id, 'policy.network_access': networkAccess };
  if (!plan.networkClasses.has(networkAccess)) {
    const reason = `network access of class ${networkAccess} is not allowed`;
    found.push(deny('inventory', reason, { aliases: ['cap_405'], attributes }));
  }
  if (allowedEgress.length === 0) {
    const reason = `${id} uses the network and names no egress`;
    found.push(deny('inventory', reason, { aliases: ['cap_406'], attributes }));
  }
}

export function checkInventory(context: RuleContext): void {
  const { plan, input, tool, found } = context;
  const refuse = (alias: string, reason: string): void => {
    const attributes = { 'policy.tool': shown(plan, input.tool) };
    found.push(deny('inventory', reason, { aliases: [alias], attributes }));
  };
  if (tool === undefined) refuse('cap_404', `${shown(plan, input.tool)} is not in the catalog`);
  if (!plan.approved.has(input.tool)) {
    refuse('cap_403', `${shown(plan, input.tool)} is not among the agent's approved capabilities`);
  }
  if (input.capability !== undefined && input.capability.id !== input.tool) {
    refuse('capability_mismatch', 'the capability given is of another tool');
  }
  if (tool === undefined) return;
  checkNetwork(context, tool);
  const { capability } = tool;
  // Configuration is typed, but a value that is neither must not pass as a read.
  const mode: string = capability.mode;
  if (mode !== 'read' && mode !== 'write')
    refuse('cap_999', `the mode ${shown(plan, mode)} is not supported`);
  if (capability.permission === 'admin' && !isOperator(input.caller)) {
    refuse('permission_admin', `${capability.id} needs an operator or admin role`);
  }
  if (capability.class === 'exec' && !capability.sandboxed) {
    refuse('kernel.policy.proc-exec-default-deny', `${capability.id} runs code and has no sandbox`);
  }
}

export function checkPin({ plan, input, tool, found }: RuleContext): void {
  const { pin } = input;
  const isOwn = tool?.capability.transport === 'in_process' || tool?.capability.transport === 'host';
  if (pin.state === 'pinned' || (pin.state === 'declared' && (isOwn || tool === undefined))) return;
  const why =
    pin.state === 'quarantined'
      ? `is quarantined: ${shown(plan, pin.reason)}`
      : 'has no pinned definition; a person has to look at it first';
  found.push(
    deny('tool_pin', `${shown(plan, input.tool)} ${why}`, {
      aliases: ['denied:tool_pin'],
      attributes: { 'policy.tool': shown(plan, input.tool), 'policy.pin': pin.state },
    }),
  );
}

export function checkScopes({ plan, input, tool, scope, found }: RuleContext): void {
  if (tool === undefined) return;
  const { lane, task } = input.session;
  if (!plan.lanes.has(lane)) {
    const reason = `the lane ${shown(plan, lane)} is not declared`;
    found.push(deny('scope_boundary', reason, { layer: 'lane', aliases: ['lane_unknown'] }));
  }
  if (!plan.tasks.has(task)) {
    const reason = `the task ${shown(plan, task)} is not declared`;
    found.push(deny('scope_boundary', reason, { layer: 'task', aliases: ['task_unknown'] }));
  }
  if (scope !== undefined && scope.missing.length === 0) return;
  const missing = scope?.missing.join(', ') ?? 'any kind';
  found.push(
    deny('scope_boundary', `SCOPE_DENIED: no scope is left for ${missing}`, {
      aliases: ['kernel.scope.boundary'],
      attributes: {
        'policy.tool': tool.capability.id,
        'policy.scope_kinds': [...(scope?.missing ?? [])],
        scope_requested: (scope?.requested ?? []).map((entry) => ({ ...entry })),
        scope_allowed: (scope?.allowed ?? []).map((entry) => ({ ...entry })),
      },
    }),
  );
}

export function checkIntent({ plan, input, found }: RuleContext): void {
  if (plan.intents === undefined) return;
  const named = input.session.intent;
  const attributes = (): JsonObject => ({
    'policy.intent': shown(plan, named ?? ''),
    'policy.tool': shown(plan, input.tool),
  });
  const refuse = (reason: string): void => {
    const aliases = ['agent-runtime.policy.intent-deny'];
    found.push(deny('intent', reason, { layer: 'intent', aliases, attributes: attributes() }));
  };
  if (named === undefined || named === '') {
    refuse('the session has no intent, and intents are configured');
    return;
  }
  const intent = plan.intents.get(named);
  if (intent === undefined) {
    refuse(`the intent ${shown(plan, named)} is not configured`);
  } else if (intent.approval.has(input.tool)) {
    const made = verdict(
      'approval_required',
      'intent',
      `the intent ${shown(plan, named)} asks for approval of this tool`,
      {
        layer: 'intent',
        aliases: ['agent-runtime.policy.intent-approval'],
        attributes: attributes(),
      },
    );
    found.push({ ...made, rememberable: false });
  } else if (!intent.allow.has(input.tool)) {
    refuse(`the intent ${shown(plan, named)} does not list this tool`);
  }
}
