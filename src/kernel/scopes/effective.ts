// Owns which scope a tool has in a lane and a task: workspace ∩ lane ∩ task ∩ what the tool requires, per kind.
// Layers come from the configuration only; nothing a caller sends is read here.
import type { Capability, RuntimeConfig, Scope } from '../../config/types.ts';
import { intersect } from './intersect.ts';
import { isNetworkEmpty } from './network.ts';
import { assertUnreserved, parseOwnScope, reservedDirectories } from './reserved.ts';
import { compileScopes, showScopes } from './scope.ts';
import type { ScopeSet } from './scope.ts';

export type ScopeKind = 'path(read)' | 'path(write)' | 'network';

export interface EffectiveScope {
  readonly scope: ScopeSet;
  readonly requested: Scope[];
  readonly allowed: Scope[];
  /** Kinds that the tool requires and no scope is left for. */
  readonly missing: readonly ScopeKind[];
}

export interface ScopeLayers {
  /** `undefined` lane or task: one that is not declared and narrows nothing. */
  effective(tool: string, lane: string, task: string): EffectiveScope | undefined;
}

/** What the tool needs: its declared scopes, and its egress when it uses the network but declares no network scope.
 * Also for `full`: the class says what policy must allow, the list says where the tool goes. */
function required(capability: Capability): Scope[] {
  const declared = capability.scopes;
  const saysNetwork = declared.some((scope) => scope.type === 'network');
  if (capability.networkAccess === 'none' || saysNetwork) return [...declared];
  return [...declared, { type: 'network', posture: 'allowlist', entries: capability.allowedEgress }];
}

function missingKinds(own: ScopeSet, left: ScopeSet, requested: readonly Scope[]): ScopeKind[] {
  const missing: ScopeKind[] = [];
  if (own.read.length > 0 && left.read.length === 0) missing.push('path(read)');
  if (own.write.length > 0 && left.write.length === 0) missing.push('path(write)');
  const needsNetwork = requested.some((scope) => scope.type === 'network' && scope.posture !== 'off');
  if (needsNetwork && isNetworkEmpty(left.network)) missing.push('network');
  return missing;
}

interface OwnScope {
  requested: Scope[];
  scope: ScopeSet;
  known: Map<string, Map<string, EffectiveScope>>;
}

/** Compiles every scope of the configuration; throws CONFIGURATION_ERROR for one that cannot be right. */
export function compileScopeLayers(config: RuntimeConfig): ScopeLayers {
  const { policy } = config;
  const { root } = policy.sandbox;
  const reserved = reservedDirectories(config);
  const compile = (scopes: Scope[] | undefined): ScopeSet | undefined =>
    scopes === undefined ? undefined : compileScopes(scopes, root);
  const workspace = compile(policy.workspace.scopes);
  const layersOf = (layers: Record<string, { scopes?: Scope[] }>): Map<string, ScopeSet | undefined> =>
    new Map(Object.entries(layers).map(([name, layer]) => [name, compile(layer.scopes)]));
  const lanes = layersOf(policy.lanes);
  const tasks = layersOf(policy.tasks);
  const tools = new Map<string, OwnScope>();
  for (const capability of Object.values(config.capabilities)) {
    const requested = required(capability);
    const owner = `capability ${capability.id}`;
    const scope = parseOwnScope(owner, () => compileScopes(requested, root));
    assertUnreserved(reserved, scope.write, owner);
    tools.set(capability.id, { requested, scope, known: new Map() });
  }
  const compute = (own: OwnScope, lane: string, task: string): EffectiveScope => {
    let left = own.scope;
    for (const layer of [workspace, lanes.get(lane), tasks.get(task)]) {
      if (layer !== undefined) left = intersect(left, layer);
    }
    const missing = missingKinds(own.scope, left, own.requested);
    Object.freeze(own.requested);
    return {
      scope: left,
      requested: own.requested,
      allowed: Object.freeze(showScopes(left)) as Scope[],
      missing,
    };
  };
  return {
    effective(tool, lane, task) {
      const own = tools.get(tool);
      if (own === undefined) return undefined;
      const byTask = own.known.get(lane);
      const found = byTask?.get(task);
      if (found !== undefined) return found;
      const entry = compute(own, lane, task);
      // Undeclared names are not kept: a caller could otherwise fill the memory.
      const isDeclared =
        (lanes.has(lane) || lane === 'default') && (tasks.has(task) || task === 'agent-session');
      if (isDeclared) {
        if (byTask === undefined) own.known.set(lane, new Map([[task, entry]]));
        else byTask.set(task, entry);
      }
      return entry;
    },
  };
}
