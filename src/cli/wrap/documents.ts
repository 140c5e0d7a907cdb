// Owns the configuration that wrapping stands for: the documents of one server whose every tool asks until a person has
// classed it. Pure, so that equal facts give equal words and digests.
import type { JsonObject } from '../../base/json.ts';
import { digestJson } from '../../base/digest.ts';
import type { ToolPin } from '../../capabilities/pin-file.ts';
import { isReadMethod } from '../../kernel/catalog/reads.ts';
import type { ToolClass } from './classes.ts';
import type { WrapTarget } from './target.ts';

const PATHS = ['read', 'write'].map((access) => ({ type: 'path', pattern: '{sandbox}/**', access }));
// A working day of one busy client; the same call with the same arguments is a loop long before.
const CALLS = 10_000;
const REPEATS = 20;

/** Names of the catalog are words; two tools never share one. */
function catalogName(tool: string): string {
  const word = tool.toLowerCase().replace(/[^a-z0-9]+/g, '_');
  return `t_${word.slice(0, 40)}_${digestJson(tool).slice(7, 15)}`;
}

function capability(target: WrapTarget, tool: string, pin: ToolPin, asClass: ToolClass): JsonObject {
  const saysRead = asClass === 'allow' && pin.definition.annotations?.['readOnlyHint'] === true;
  // What the protocol itself makes a read changes nothing, whether it asks or not.
  const isRead = saysRead || isReadMethod(tool);
  return {
    owner: 'wrapped',
    mode: isRead ? 'read' : 'write',
    transport: target.way.transport === 'http' ? 'mcp_http' : 'mcp_stdio',
    server: target.name,
    tool,
    timeout_seconds: 60,
    tool_principal: 'svc-wrapped',
    risk_tier: asClass === 'allow' ? 'low' : 'medium',
    ...(target.hosts.length === 0
      ? { network_access: 'none' }
      : { network_access: 'restricted', allowed_egress: target.hosts }),
    approval: asClass === 'ask' ? 'principal' : 'none',
    scopes: PATHS,
  };
}

function decision(asClass: ToolClass): JsonObject {
  if (asClass === 'ask') return { decision: 'approval_required', approver: 'principal' };
  return { decision: asClass };
}

function network({ hosts }: WrapTarget): JsonObject {
  const type = 'network';
  return hosts.length === 0 ? { type, posture: 'off' } : { type, posture: 'allowlist', entries: hosts };
}

/** As it is reached where that is the wrapped server itself, else over https. */
function originIn({ way }: WrapTarget): (host: string) => string {
  const own = way.transport === 'http' ? new URL(way.url) : undefined;
  return (host) => (host === own?.host ? own.origin : `https://${host}`);
}

function server({ way }: WrapTarget): JsonObject {
  if (way.transport === 'http') {
    const headers = Object.entries(way.headers).map(([name, one]) => [name, { ...one }] as const);
    return { transport: 'http', url: way.url, headers: Object.fromEntries(headers) };
  }
  return { transport: 'stdio', command: way.command, args: way.args, env_allow: way.env };
}

function policy(target: WrapTarget, names: string[], decisions: JsonObject): JsonObject {
  return {
    version: 'wrap/1',
    tool_registry: { allowed: names, denied: [] },
    url_allowlist: target.hosts.map(originIn(target)),
    sandbox: { path_template: target.root },
    arg_schema_enforcement: 'strict',
    loop_budget: { max_iterations: CALLS, max_tokens: CALLS },
    cycle_detection: { max_repeats: REPEATS, window_seconds: 600 },
    retry: { max_retries: 1, backoff_base_ms: 100, backoff_cap_ms: 1000 },
    execution: { allow_network_access: ['restricted'] },
    capabilities: decisions,
    workspace: {
      default_decision: 'deny',
      scopes: [...PATHS, network(target)],
      rules: [],
    },
  };
}

/** File name to document; what stands in no document is the bundled example's. */
export function wrapDocuments(
  target: WrapTarget,
  pins: Readonly<Record<string, ToolPin>>,
  classes: ReadonlyMap<string, ToolClass>,
): Record<string, JsonObject> {
  const tools = Object.entries(pins).map(([tool, pin]) => {
    const asClass = classes.get(tool) ?? 'ask';
    return { name: catalogName(tool), entry: capability(target, tool, pin, asClass), asClass };
  });
  const names = tools.map(({ name }) => name);
  const agent = {
    id: `wrap-${target.name}`,
    display_name: `Wrapped ${target.name}`,
    owner_team: 'wrapped',
    runtime_principal: 'svc-wrapped',
  };
  return {
    'agent.yaml': { agent, approved_capabilities: names },
    'capabilities.yaml': { capabilities: Object.fromEntries(tools.map(({ name, entry }) => [name, entry])) },
    'servers.yaml': { servers: { [target.name]: server(target) } },
    'policy.yaml': {
      policy: policy(
        target,
        names,
        Object.fromEntries(tools.map(({ name, asClass }) => [name, decision(asClass)])),
      ),
    },
    'runtime.yaml': {
      agent_runtime: {
        default_model: 'none',
        models: { none: { provider: 'scripted', model: 'none', script: 'scripts/support.yaml' } },
        intents: {},
        limits: { max_turns_per_session: 1, max_tool_calls_per_session: CALLS, max_input_bytes: 1_048_576 },
      },
    },
  };
}
