// Owns what is compiled once from the configuration: rules indexed by tool with their CEL, allow-lists, scopes, and
// everything about a tool that no call can change.
import { RuntimeError } from '../../base/errors.ts';
import { showCut } from '../../base/text.ts';
import type { Capability, Intent, PolicyLayer, PolicyRule, RuntimeConfig } from '../../config/types.ts';
import { namesItsPlace } from '../catalog/reads.ts';
import { compileScopeLayers } from '../scopes/effective.ts';
import type { ScopeLayers } from '../scopes/effective.ts';
import { pathSegments } from '../scopes/pattern.ts';
import { reservedDirectories } from '../scopes/reserved.ts';
import type { Reserved } from '../scopes/reserved.ts';
import { celTool, compileCel } from './cel.ts';
import type { CelTool, CompiledCel } from './cel.ts';
import type { Verdicted } from './decision.ts';
import { pathRules } from './paths.ts';
import type { PathRules } from './paths.ts';
import { parseUrlAllowlist } from './urls.ts';
import type { UrlAllowlist } from './urls.ts';
import { catalogApprover, verdict } from './verdict.ts';
import { parsePointer } from './walk.ts';

export interface ArgumentRole {
  readonly tokens: readonly string[];
  readonly role: 'sink' | 'reference' | 'content';
}

export interface CompiledRule {
  readonly id: string;
  readonly when?: CompiledCel;
  /** What a match says; shared by every decision, so frozen. */
  readonly says: Verdicted;
}

export interface ToolPlan {
  readonly capability: Capability;
  readonly cel: CelTool;
  readonly paths: PathRules;
  readonly urls: { declared: readonly (readonly string[])[]; usesNetwork: boolean };
  readonly roles: readonly ArgumentRole[];
  /** Some rule about it looks at the session's past. */
  readonly looksBack: boolean;
  readonly workspace: readonly CompiledRule[];
  readonly lanes: ReadonlyMap<string, readonly CompiledRule[]>;
  readonly tasks: ReadonlyMap<string, readonly CompiledRule[]>;
  /** What is answered when no workspace rule matches. */
  readonly byDefault: Verdicted;
  /** What the catalog itself demands. */
  readonly demands: readonly Verdicted[];
}

export interface CompiledIntent {
  readonly allow: ReadonlySet<string>;
  readonly approval: ReadonlySet<string>;
}

export interface Plan {
  readonly config: RuntimeConfig;
  readonly tools: ReadonlyMap<string, ToolPlan>;
  readonly denied: ReadonlySet<string>;
  readonly allowed: ReadonlySet<string>;
  readonly approved: ReadonlySet<string>;
  readonly networkClasses: ReadonlySet<string>;
  readonly urls: UrlAllowlist;
  readonly scopes: ScopeLayers;
  readonly root: readonly string[];
  readonly reserved: Reserved;
  /** undefined: no intents are configured. */
  readonly intents: ReadonlyMap<string, CompiledIntent> | undefined;
  readonly lanes: ReadonlySet<string>;
  readonly tasks: ReadonlySet<string>;
  /** What a caller sent, as a reason or an attribute may say it: redacted and then cut, since a cut secret is not known. */
  readonly quote: (text: string, most?: number) => string;
}

const CONFIGURED = { allow: 'cap_110', approval_required: 'cap_210', deny: 'cap_410' } as const;

function frozen(made: Verdicted): Verdicted {
  Object.freeze(made.aliases);
  Object.freeze(made.attributes);
  return Object.freeze(made);
}

function ruleVerdict(rule: PolicyRule, layer: PolicyLayer): Verdicted {
  const made = verdict(rule.decision, 'capability_rule', rule.reason, {
    layer: layer.level,
    aliases: [rule.id, CONFIGURED[rule.decision]],
    attributes: { 'policy.rule': rule.id, 'policy.layer': layer.name },
    onDeny: rule.onDeny,
  });
  if (rule.decision !== 'approval_required') return frozen(made);
  // Without an approver of its own, the catalog's demand, which is always added, names one.
  const approver = rule.approver === undefined ? {} : { approver: rule.approver };
  return frozen({ ...made, rememberable: rule.rememberable, ...approver });
}

type Compile = (rule: PolicyRule) => CompiledCel | undefined;

function compileRules(layer: PolicyLayer, capability: Capability, compile: Compile): CompiledRule[] {
  return layer.rules
    .filter(({ tools }) => tools === '*' || tools.includes(capability.id))
    .map((rule) => {
      const when = compile(rule);
      return { id: rule.id, says: ruleVerdict(rule, layer), ...(when === undefined ? {} : { when }) };
    });
}

function catalogDemands(capability: Capability): Verdicted[] {
  const { approval, mode, risk, id } = capability;
  const demands: Verdicted[] = [];
  const demand = (reason: string, alias: string, approver?: string): void => {
    const made = verdict('approval_required', 'capability_rule', reason, {
      aliases: [alias, 'kernel.policy.approval-required'],
      attributes: { 'policy.tool': id },
    });
    demands.push(frozen({ ...made, rememberable: false, ...(approver === undefined ? {} : { approver }) }));
  };
  if (approval !== 'none') {
    const alias = mode === 'write' ? 'cap_201' : 'cap_210';
    demand(`the catalog asks for approval of ${id}`, alias, catalogApprover(approval.approver));
  }
  if (risk === 'critical') demand(`${id} is of critical risk`, 'cap_211');
  return demands;
}

function defaultVerdict(config: RuntimeConfig, { id, mode }: Capability): Verdicted {
  const kind = config.policy.defaultDecision;
  const attributes = { 'policy.tool': id };
  if (kind === 'allow') {
    const aliases =
      mode === 'read' ? ['agent-runtime.policy.default', 'cap_101'] : ['agent-runtime.policy.default'];
    return frozen(
      verdict(kind, 'capability_rule', 'no rule matches; the default allows', {
        layer: 'workspace',
        aliases,
        attributes,
      }),
    );
  }
  const made = verdict(kind, 'capability_rule', `no rule for ${id} matches; the default is ${kind}`, {
    layer: 'workspace',
    aliases: ['kernel.policy.builtin-default', CONFIGURED[kind]],
    attributes,
  });
  return frozen(kind === 'deny' ? made : { ...made, rememberable: false });
}

function compileTool(config: RuntimeConfig, capability: Capability, compile: Compile): ToolPlan {
  const { workspace, lanes, tasks } = config.policy;
  const byName = (layers: Record<string, PolicyLayer>): Map<string, CompiledRule[]> =>
    new Map(Object.entries(layers).map(([name, layer]) => [name, compileRules(layer, capability, compile)]));
  const rules = compileRules(workspace, capability, compile);
  const inLanes = byName(lanes);
  const inTasks = byName(tasks);
  const roles = (capability.argumentRoles ?? []).map(({ pointer, role }) => ({
    tokens: parsePointer(pointer),
    role,
  }));
  const asksPast = [rules, ...inLanes.values(), ...inTasks.values()]
    .flat()
    .some((rule) => rule.when?.looksBack);
  return {
    capability,
    cel: celTool(capability),
    paths: pathRules(capability),
    urls: {
      declared: capability.urlArguments.map(parsePointer),
      // A read's address stands as its `url`; the name beside it is the server's own.
      usesNetwork: capability.networkAccess !== 'none' && !namesItsPlace(capability),
    },
    roles,
    looksBack: asksPast || roles.some(({ role }) => role !== 'content'),
    workspace: rules,
    lanes: inLanes,
    tasks: inTasks,
    byDefault: defaultVerdict(config, capability),
    demands: catalogDemands(capability),
  };
}

function compileIntents(intents: Record<string, Intent>): Map<string, CompiledIntent> | undefined {
  const entries = Object.entries(intents);
  if (entries.length === 0) return undefined;
  return new Map(
    entries.map(([id, intent]) => [
      id,
      { allow: new Set(intent.allowTools), approval: new Set(intent.approvalRequiredTools) },
    ]),
  );
}

/** Each rule once, also rules that no tool of the catalog has: a typing error must not wait for its tool. */
function compileAllCel(config: RuntimeConfig): Compile {
  const compiled = new Map<PolicyRule, CompiledCel>();
  const { workspace, lanes, tasks } = config.policy;
  for (const layer of [workspace, ...Object.values(lanes), ...Object.values(tasks)]) {
    for (const rule of layer.rules) {
      if (rule.when !== undefined) compiled.set(rule, compileCel(rule.id, rule.when));
    }
  }
  return (rule) => compiled.get(rule);
}

const QUOTED = 200;

/** Throws CONFIGURATION_ERROR naming what is wrong. */
export function compilePlan(config: RuntimeConfig, redact: (text: string) => string): Plan {
  const { policy, agent, capabilities } = config;
  const compile = compileAllCel(config);
  const tools = new Map<string, ToolPlan>();
  for (const [id, capability] of Object.entries(capabilities)) {
    if (id !== capability.id) {
      throw new RuntimeError('CONFIGURATION_ERROR', `capability ${capability.id} is filed under ${id}`);
    }
    tools.set(id, compileTool(config, capability, compile));
  }
  return {
    config,
    tools,
    denied: new Set(policy.registry.denied),
    allowed: new Set(policy.registry.allowed),
    approved: new Set(agent.approvedCapabilities),
    networkClasses: new Set(policy.execution.allowNetworkAccess),
    urls: parseUrlAllowlist(policy.urlAllowlist),
    scopes: compileScopeLayers(config),
    root: pathSegments(policy.sandbox.root),
    reserved: reservedDirectories(config),
    intents: compileIntents(config.intents),
    lanes: new Set(['default', ...Object.keys(policy.lanes)]),
    tasks: new Set(['agent-session', ...Object.keys(policy.tasks)]),
    quote: (text, most = QUOTED) => showCut(redact(text), most),
  };
}
