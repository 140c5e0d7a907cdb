// Owns the joining of the parts into one configuration: names resolved, tokens expanded, all cross-file checks made.
import { join } from 'node:path';
import { checkCatalog, checkServers } from './check-catalog.ts';
import { checkPolicy } from './check-policy.ts';
import { checkIdentity, checkRuntime } from './check-runtime.ts';
import type { PolicyPart } from './files/policy.ts';
import type { ServerPart } from './files/servers.ts';
import { checkSandboxes, profileOf } from './check-sandbox.ts';
import type { PackPart, RuntimePart } from './files/runtime.ts';
import { ToolNames } from './names.ts';
import type { Parts } from './parts.ts';
import type { PathPart, Problems } from './problems.ts';
import { sandboxRoot } from './sandbox-root.ts';
import { approverOf, record } from './shape.ts';
import { expandTokens, placeProblem, tokenProblem } from './tokens.ts';
import type { TokenValues } from './tokens.ts';
import type {
  CapabilitySessionControls,
  RuntimeControls,
  Capability,
  DelegationGrant,
  DownstreamServer,
  Intent,
  Policy,
  PolicyLayer,
  PolicyRule,
  RuntimeConfig,
  Scope,
  TurnLimits,
} from './types.ts';

export interface LinkContext {
  directory: string;
  /** Where it lies when it is reached through a link. */
  realDirectory?: string;
  workspace: string;
  packageRoot: string;
  env: Readonly<Record<string, string | undefined>>;
}

export interface Linked {
  config: Omit<RuntimeConfig, 'digest' | 'policy'> & { policy: Omit<Policy, 'digest'> };
  rootFromEnvironment: boolean;
}

const NO_LIMITS: TurnLimits = { maxTurnsPerSession: 12, maxToolCallsPerSession: 6, maxInputBytes: 65_536 };

function checkTokens(parts: Partial<Parts>, problems: Problems): void {
  const check = (text: string, path: PathPart[]): void => {
    const wrong = tokenProblem(text);
    if (wrong !== undefined) problems.add('servers.yaml', path, wrong);
  };
  for (const server of parts.servers?.values() ?? []) {
    const at = ['servers', server.name];
    check(server.command ?? '', [...at, 'command']);
    const misplaced = server.cwd === undefined ? undefined : placeProblem(server.cwd);
    if (misplaced !== undefined) problems.add('servers.yaml', [...at, 'cwd'], misplaced);
    for (const [index, argument] of server.args.entries()) check(argument, [...at, 'args', index]);
    for (const [name, one] of Object.entries(server.env)) {
      if ('value' in one) check(one.value, [...at, 'env', name, 'value']);
    }
  }
}

/** Every name of a tool in agent.yaml and policy.yaml must lead to a capability. */
function checkToolNames(parts: Partial<Parts>, tools: ToolNames, problems: Problems): void {
  const { agent, identity, policy } = parts;
  for (const [at, { capabilities = [] }] of identity?.delegations.entries() ?? []) {
    tools.list(capabilities, 'identity.yaml', ['identity', 'delegations', at, 'capabilities'], problems);
  }
  if (agent !== undefined) tools.list(agent.approved, 'agent.yaml', ['approved_capabilities'], problems);
  if (policy === undefined) return;
  const file = 'policy.yaml';
  tools.list(policy.registry.allowed, file, ['policy', 'tool_registry', 'allowed'], problems);
  tools.list(policy.registry.denied, file, ['policy', 'tool_registry', 'denied'], problems);
  const decided = new Set<string>();
  for (const name of policy.decisions.keys()) {
    const id = tools.find(name);
    const path = ['policy', 'capabilities', name];
    if (id === undefined) problems.add(file, path, tools.unknown(name), 'key');
    else if (decided.has(id)) problems.add(file, path, `decides about ${id} a second time`, 'key');
    else decided.add(id);
  }
  const layers: [PathPart[], PolicyLayer][] = [
    [['policy', 'workspace'], policy.workspace],
    ...Object.entries(policy.lanes).map(([n, l]): [PathPart[], PolicyLayer] => [['policy', 'lanes', n], l]),
    ...Object.entries(policy.tasks).map(([n, l]): [PathPart[], PolicyLayer] => [['policy', 'tasks', n], l]),
  ];
  for (const [path, layer] of layers) {
    for (const [at, rule] of layer.rules.entries()) {
      if (rule.tools !== '*') tools.list(rule.tools, file, [...path, 'rules', at, 'tools'], problems);
    }
  }
}

function checkAll(parts: Partial<Parts>, tools: ToolNames | undefined, problems: Problems): void {
  if (parts.servers !== undefined) checkServers(parts.servers, problems);
  if (parts.capabilities !== undefined) {
    checkCatalog(parts.capabilities, parts.servers, parts.policy, problems);
  }
  if (parts.policy !== undefined) checkPolicy(parts.policy, parts.runtime, problems);
  if (parts.identity !== undefined) checkIdentity(parts.identity, parts.policy, problems);
  if (parts.runtime !== undefined) {
    const approved = parts.agent?.approved.map((name) => tools?.find(name) ?? name);
    checkRuntime(parts.runtime, tools, approved && new Set(approved), problems);
  }
  if (tools !== undefined) checkToolNames(parts, tools, problems);
  checkTokens(parts, problems);
  checkSandboxes(parts, problems);
}

/** Both files speak of the same sessions: what either switches off is off. */
function bothSessions(
  { capabilitySessions: own }: RuntimeControls,
  { sessions }: RuntimePart,
): CapabilitySessionControls {
  return {
    ...own,
    trackIds: own.trackIds && sessions.trackIds,
    progress: own.progress && sessions.progress,
    onExpiry: sessions.reinitialize ? own.onExpiry : 'cancel',
  };
}

class Linker {
  readonly #parts: Parts;
  readonly #tools: ToolNames;
  readonly #tokens: TokenValues;
  readonly #directory: string;

  constructor(parts: Parts, tools: ToolNames, tokens: TokenValues, directory: string) {
    this.#parts = parts;
    this.#tools = tools;
    this.#tokens = tokens;
    this.#directory = directory;
  }

  config(): Linked['config'] {
    const { agent, capabilities, policy, identity, runtime, servers, approvals, controls } = this.#parts;
    const pack = runtime.pack;
    return {
      directory: this.#directory,
      agent: {
        id: agent.id,
        displayName: agent.displayName,
        ownerTeam: agent.ownerTeam,
        runtimePrincipal: agent.runtimePrincipal,
        approvedCapabilities: this.#ids(agent.approved),
      },
      capabilities: record([...capabilities.values()].map((one) => [one.id, this.#capability(one)] as const)),
      policy: this.#policy(policy),
      identity: { ...identity, delegations: identity.delegations.map((one) => this.#grant(one)) },
      models: this.#models(pack),
      intents: record([...(pack?.intents.values() ?? [])].map((one) => [one.id, this.#intent(one)] as const)),
      limits: pack?.limits ?? NO_LIMITS,
      runtime: runtime.settings,
      servers: record([...servers.values()].map((one) => [one.name, this.#server(one)] as const)),
      approvals,
      controls: { ...this.#controls(controls), capabilitySessions: bothSessions(controls, runtime) },
    };
  }

  #grant({ capabilities, ...one }: DelegationGrant): DelegationGrant {
    return capabilities === undefined ? one : { ...one, capabilities: this.#ids(capabilities) };
  }

  #controls({ sandbox: _sandbox, ...rest }: Parts['controls']): RuntimeConfig['controls'] {
    return rest;
  }

  #ids(written: readonly string[]): string[] {
    return written.map((name) => this.#tools.find(name) ?? name);
  }

  // {sandbox} stays: whoever matches patterns knows the root, and its name may hold characters that patterns do not.
  #scopes(scopes: readonly Scope[]): Scope[] {
    return scopes.map((one) =>
      one.type === 'path'
        ? { ...one, pattern: one.pattern.replace(/^\{workspace\}/, () => this.#tokens.workspace) }
        : one,
    );
  }

  /** A call ends at the earlier of the two times: its own and that of its server. */
  #capability(one: Capability): Capability {
    const longest = this.#parts.servers.get(one.server ?? '')?.callTimeoutSeconds ?? Infinity;
    const timeoutSeconds = Math.min(one.timeoutSeconds, longest);
    const pack = one.pack === '' ? this.#parts.agent.id : one.pack;
    return { ...one, pack, timeoutSeconds, scopes: this.#scopes(one.scopes) };
  }

  /**
   * A demand for approval without an approver leaves the choice to the catalog, and where the catalog asks for none,
   * to the default reviewer. A rule about both sorts of tools becomes two of one id, which never meet on one tool.
   */
  #rules(rule: PolicyRule): PolicyRule[] {
    const tools = rule.tools === '*' ? rule.tools : this.#ids(rule.tools);
    if (rule.decision !== 'approval_required' || rule.approver !== undefined) return [{ ...rule, tools }];
    const approver = approverOf(this.#parts.approvals.defaultReviewer);
    const covered = [...this.#parts.capabilities.values()].filter(
      ({ id }) => tools === '*' || tools.includes(id),
    );
    const chosen = covered.filter((one) => one.approval !== 'none').map((one) => one.id);
    const open = covered.filter((one) => one.approval === 'none').map((one) => one.id);
    if (chosen.length === 0) return [{ ...rule, tools, approver }];
    if (open.length === 0) return [{ ...rule, tools }];
    return [
      { ...rule, tools: chosen },
      { ...rule, tools: open, approver },
    ];
  }

  #layer(layer: PolicyLayer): PolicyLayer {
    const { scopes, rules, ...rest } = layer;
    const linked = { ...rest, rules: rules.flatMap((rule) => this.#rules(rule)) };
    return scopes === undefined ? linked : { ...linked, scopes: this.#scopes(scopes) };
  }

  #decisionRules(policy: PolicyPart): PolicyRule[] {
    const byId = new Map([...this.#parts.capabilities.values()].map((one) => [one.id, one.name]));
    return [...policy.decisions].flatMap(([written, one]) => {
      const id = this.#tools.find(written) ?? written;
      const name = byId.get(id) ?? written;
      return this.#rules({
        id: `capability.${name}`,
        tools: [id],
        decision: one.decision,
        reason: `policy.capabilities says ${one.decision} for ${name}.`,
        onDeny: one.onDeny,
        ...(one.approver === undefined ? {} : { approver: one.approver }),
        rememberable: false,
      });
    });
  }

  #policy(part: PolicyPart): Omit<Policy, 'digest'> {
    const { pathTemplate, decisions: _decisions, ...rest } = part;
    const layers = (all: Record<string, PolicyLayer>): Record<string, PolicyLayer> =>
      record(Object.entries(all).map(([name, layer]) => [name, this.#layer(layer)] as const));
    const workspace = this.#layer(part.workspace);
    return {
      ...rest,
      sandbox: { pathTemplate, root: this.#tokens.sandbox },
      registry: { allowed: this.#ids(part.registry.allowed), denied: this.#ids(part.registry.denied) },
      workspace: { ...workspace, rules: [...this.#decisionRules(part), ...workspace.rules] },
      lanes: layers(part.lanes),
      tasks: layers(part.tasks),
    };
  }

  #models(pack: PackPart | undefined): RuntimeConfig['models'] {
    if (pack === undefined) return { default: '', profiles: record([]) };
    const profiles = [...pack.models.values()].map((one) => {
      const linked = one.script === undefined ? one : { ...one, script: join(this.#directory, one.script) };
      return [one.name, linked] as const;
    });
    return { default: pack.defaultModel, profiles: record(profiles) };
  }

  #intent(one: Intent): Intent {
    const approvalRequiredTools = this.#ids(one.approvalRequiredTools);
    return { ...one, allowTools: this.#ids(one.allowTools), approvalRequiredTools };
  }

  #server({ sandbox: own, callTimeoutSeconds: _inCalls, ...one }: ServerPart): DownstreamServer {
    const profile = profileOf(
      { ...one, ...(own === undefined ? {} : { sandbox: own }) },
      this.#parts.controls,
    );
    const expand = (text: string): string => expandTokens(text, this.#tokens);
    const env = Object.entries(one.env).map(([name, value]) => {
      return [name, 'value' in value ? { value: expand(value.value) } : value] as const;
    });
    return {
      ...one,
      ...(one.command === undefined ? {} : { command: expand(one.command) }),
      ...(one.cwd === undefined ? {} : { cwd: expand(one.cwd) }),
      args: one.args.map(expand),
      env: record(env),
      ...(profile === undefined
        ? {}
        : {
            sandbox: {
              ...profile,
              entries: profile.entries.map((entry) => ({ ...entry, path: expand(entry.path) })),
            },
          }),
    };
  }
}

function isComplete(parts: Partial<Parts>): parts is Parts {
  return Object.keys(parts).length === 9;
}

/** The joined configuration, or undefined with every reason noted. Parts that are missing were noted before. */
export function linkParts(
  parts: Partial<Parts>,
  context: LinkContext,
  problems: Problems,
): Linked | undefined {
  const tools = parts.capabilities === undefined ? undefined : new ToolNames(parts.capabilities);
  checkAll(parts, tools, problems);
  const made = parts.policy === undefined ? undefined : sandboxRoot(parts.policy.pathTemplate, context);
  if (made !== undefined && 'problem' in made) {
    problems.add('policy.yaml', ['policy', 'sandbox', 'path_template'], made.problem);
  }
  if (problems.count > 0 || !isComplete(parts) || tools === undefined) return undefined;
  if (made === undefined || 'problem' in made) return undefined;
  const tokens = { packageRoot: context.packageRoot, workspace: context.workspace, sandbox: made.root };
  const linker = new Linker(parts, tools, tokens, context.directory);
  return { config: linker.config(), rootFromEnvironment: made.usedEnvironment };
}
