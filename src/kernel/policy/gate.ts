// Owns the gate: one pure, total answer to "may this call happen". Compiled once per configuration; deciding does no
// I/O, reads no clock, and turns anything thrown inside into a deny.
// G1: every rule is evaluated, and the first denial in RULE_ORDER is the one reported.
// G2: a rule that throws is a `kernel_error` deny; the other rules still speak.
import type { RuntimeConfig } from '../../config/types.ts';
import { NO_DELEGATION } from '../identity.ts';
import type { Caller, Delegation } from '../identity.ts';
import {
  checkIntent,
  checkInventory,
  checkPin,
  checkPrecheck,
  checkRegistry,
  checkScopes,
} from './access-rules.ts';
import type { RuleContext } from './access-rules.ts';
import { approverConflicts } from './approver-conflicts.ts';
import type { ApproverConflict } from './approver-conflicts.ts';
import { SchemaCache } from './arg-schema.ts';
import type { PreparedSchema } from './arg-schema.ts';
import { checkPaths, checkSchema, checkUrls } from './argument-rules.ts';
import { checkRules } from './configured-rules.ts';
import type { Decision, DecisionInput, PinState, RuleId, Verdicted } from './decision.ts';
import { checkDelegation } from './delegation.ts';
import { checkBudget, checkCycle } from './limit-rules.ts';
import { compilePlan } from './plan.ts';
import type { Plan, ToolPlan } from './plan.ts';
import { approverConflict, combine, deny, verdict } from './verdict.ts';
import { stringLeaves } from './walk.ts';
import type { Leaf } from './walk.ts';

/** A call whose arguments are not known yet. */
export interface ReachInput {
  tool: string;
  caller: Caller;
  agentId: string;
  session: DecisionInput['session'];
  pin: PinState;
  /** On whose authority it would be called. Absent: nobody else's. */
  delegation?: Delegation;
}

export interface Reach {
  reachable: boolean;
  /** Whatever the arguments are, a person is asked. */
  approvalRequired: boolean;
  found: Verdicted[];
}

export interface Gate {
  readonly policyDigest: string;
  decide(input: DecisionInput): Decision;
  /** The decision if one verdict of an earlier decision were not there; to explain, never to act on. */
  decideWithout(input: DecisionInput, cause: Verdicted): Decision;
  /** What can be said of a tool before its arguments are known. */
  reach(input: ReachInput): Reach;
  /** Demands for approval that no single approval can meet; calls that meet them are denied. For a check of the configuration. */
  conflicts(): ApproverConflict[];
  /** Whether a rule about this tool needs the session's past. */
  looksBack(tool: string): boolean;
  /** Whether any tool's rules need it: then calls of a session are put in order. */
  readonly ordersCalls: boolean;
  /** Whether a run may begin: run_001, run_002, run_003, or run_010. */
  precheck(who: { caller: Caller; agentId: string }): Verdicted;
  /** Must have been awaited for a tool's schema before `decide`; a schema that was not prepared denies. */
  prepare(definition: { inputSchema?: DecisionInput['inputSchema'] }): Promise<PreparedSchema | undefined>;
}

const NOTHING = { requested: [], allowed: [] };

function broken({ quote }: Plan, rule: RuleId, error: unknown): Verdicted {
  let message = 'an error';
  try {
    message = quote(String((error as { message?: unknown }).message ?? error), 160);
  } catch {
    // An error that cannot even be read stays `an error`.
  }
  return deny('kernel_error', `the rule ${rule} failed: ${message}`, {
    aliases: ['kernel_error', `failed:${rule}`],
    attributes: { 'policy.failed_rule': rule },
  });
}

type Check = (context: RuleContext) => void;

const BY_CALLER: readonly (readonly [RuleId, Check])[] = [
  ['run_precheck', checkPrecheck],
  ['run_precheck', checkDelegation],
  ['tool_registry', checkRegistry],
  ['inventory', checkInventory],
  ['tool_pin', checkPin],
  ['scope_boundary', checkScopes],
  ['intent', checkIntent],
];
const LIMITS: readonly (readonly [RuleId, Check])[] = [
  ['cycle_detection', checkCycle],
  ['loop_budget', checkBudget],
];

function run(checks: readonly (readonly [RuleId, Check])[], context: RuleContext): void {
  for (const [rule, check] of checks) {
    try {
      check(context);
    } catch (error) {
      context.found.push(broken(context.plan, rule, error));
    }
  }
}

function runArguments(context: RuleContext, schemas: SchemaCache): void {
  const { found } = context;
  let leaves: Leaf[];
  try {
    leaves = stringLeaves(context.input.args);
  } catch (error) {
    found.push(broken(context.plan, 'url_allowlist', error));
    leaves = [];
  }
  try {
    if (leaves.length > 0) checkUrls(context, leaves);
  } catch (error) {
    found.push(broken(context.plan, 'url_allowlist', error));
  }
  try {
    checkPaths(context, leaves);
  } catch (error) {
    found.push(broken(context.plan, 'sandbox_path', error));
  }
  try {
    checkSchema(context, schemas);
  } catch (error) {
    found.push(broken(context.plan, 'arg_schema', error));
  }
}

function runConfigured(context: RuleContext): Verdicted | undefined {
  if (context.tool === undefined) return undefined;
  try {
    return checkRules(context, context.tool);
  } catch (error) {
    context.found.push(broken(context.plan, 'capability_rule', error));
    return undefined;
  }
}

/** Whether a verdict of a second run is the one that is left out. */
function isSame(a: Verdicted, b: Verdicted): boolean {
  return a.ruleId === b.ruleId && a.layer === b.layer && a.aliases.join() === b.aliases.join();
}

function contextOf(plan: Plan, input: DecisionInput, without: Verdicted | undefined): RuleContext {
  const tool = plan.tools.get(input.tool);
  const { lane, task } = input.session;
  const scope = tool === undefined ? undefined : plan.scopes.effective(input.tool, lane, task);
  const rule = without?.ruleId === 'capability_rule' ? without.aliases[0] : undefined;
  return { plan, input, tool, scope, found: [], without: rule };
}

function decideCall(plan: Plan, schemas: SchemaCache, input: DecisionInput, without?: Verdicted): Decision {
  const context = contextOf(plan, input, without);
  run(BY_CALLER, context);
  runArguments(context, schemas);
  const allowed = runConfigured(context);
  run(LIMITS, context);
  const { scope } = context;
  const frame = {
    policy: plan.config.policy,
    scopes: scope === undefined ? NOTHING : { requested: scope.requested, allowed: scope.allowed },
  };
  if (without === undefined) return combine(context.found, allowed ?? noRule(plan, input), frame);
  const left = context.found.filter((entry) => !isSame(entry, without));
  const isDefault = allowed !== undefined && isSame(allowed, without);
  const supposed = isDefault ? verdict('allow', 'capability_rule', 'supposed', {}) : allowed;
  return combine(left, supposed ?? noRule(plan, input), frame);
}

/** Reached only beside a denial; were it ever alone, it denies too. */
function noRule(plan: Plan, input: DecisionInput): Verdicted {
  return deny('kernel_error', `nothing allows ${plan.quote(input.tool, 120)}`, {
    aliases: ['kernel.policy.runtime-fallback', 'kernel_error'],
  });
}

function failed(plan: Plan, error: unknown): Decision {
  const made = broken(plan, 'kernel_error', error);
  return combine([made], made, { policy: plan.config.policy, scopes: NOTHING });
}

/** Without CEL, arguments and limits: only what holds for every call of the tool. */
function reachOf(plan: Plan, input: ReachInput): Reach {
  const { delegation = NO_DELEGATION } = input;
  const history = {
    repeats: 0,
    session: { iterations: 0, tokens: 0, calls: 0, costUsd: 0, effects: 0, wallSeconds: 0 },
  };
  const context = contextOf(plan, { ...input, args: {}, delegation, paths: [], history }, undefined);
  run(BY_CALLER, context);
  if (context.tool !== undefined) context.found.push(...unconditional(context.tool, input.session));
  const reachable = !context.found.some((entry) => entry.verdict === 'deny');
  return { reachable, approvalRequired: reachable && context.found.length > 0, found: context.found };
}

function unconditional(tool: ToolPlan, session: DecisionInput['session']): Verdicted[] {
  const layers = [tool.workspace, tool.lanes.get(session.lane) ?? [], tool.tasks.get(session.task) ?? []];
  const always = layers.flat().filter((rule) => rule.when === undefined && rule.says.verdict !== 'allow');
  const byDefault = tool.workspace.length === 0 && tool.byDefault.verdict !== 'allow' ? [tool.byDefault] : [];
  const found = [...tool.demands, ...always.map((rule) => rule.says), ...byDefault];
  const conflict = approverConflict(found);
  return conflict === undefined ? found : [...found, conflict];
}

function precheckOf(plan: Plan, who: { caller: Caller; agentId: string }): Verdicted {
  try {
    const found: Verdicted[] = [];
    const input = { ...who } as DecisionInput;
    checkPrecheck({ plan, input, tool: undefined, scope: undefined, found, without: undefined });
    const ok = { aliases: ['run_010'] };
    return found[0] ?? verdict('allow', 'run_precheck', 'run_context_valid', ok);
  } catch (error) {
    return broken(plan, 'run_precheck', error);
  }
}

export interface GateParts {
  schemas?: SchemaCache;
  /** Takes secrets out of what a decision quotes. Absent: nothing that is decided is written anywhere. */
  redact?: (text: string) => string;
}

/** Throws CONFIGURATION_ERROR for a configuration that cannot be right; afterwards nothing here throws. */
export function createGate(config: RuntimeConfig, parts: GateParts = {}): Gate {
  const { schemas = new SchemaCache(), redact = (text: string): string => text } = parts;
  const plan = compilePlan(config, redact);
  return {
    policyDigest: config.policy.digest,
    conflicts: () => approverConflicts(plan),
    looksBack: (tool) => plan.tools.get(tool)?.looksBack === true,
    ordersCalls: [...plan.tools.values()].some((tool) => tool.looksBack),
    decide(input) {
      try {
        return decideCall(plan, schemas, input);
      } catch (error) {
        return failed(plan, error);
      }
    },
    decideWithout(input, cause) {
      try {
        return decideCall(plan, schemas, input, cause);
      } catch (error) {
        return failed(plan, error);
      }
    },
    reach(input) {
      try {
        return reachOf(plan, input);
      } catch (error) {
        return { reachable: false, approvalRequired: false, found: [broken(plan, 'kernel_error', error)] };
      }
    },
    precheck: (who) => precheckOf(plan, who),
    prepare: ({ inputSchema }) =>
      inputSchema === undefined ? Promise.resolve(undefined) : schemas.prepare(inputSchema),
  };
}
