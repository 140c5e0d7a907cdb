// Owns capabilities as an operator reads them: what is configured, what the pin says, what policy leaves of them, and how
// their server is. Starts nothing.
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { Capability, RuntimeConfig } from '../config/types.ts';
import { suggestRoles } from '../kernel/catalog/roles.ts';
import type { ToolDefinition, ToolDirectory } from '../kernel/execution/executor.ts';
import type { Caller } from '../kernel/identity.ts';
import type { PinState } from '../kernel/policy/decision.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import { decodeCursor, encodeCursor } from '../store/cursor.ts';
import type { InspectionView } from './inspect.ts';
import type { Listing } from './lists.ts';
import { checkStatus } from './statuses.ts';
import { checkedLimit, notFound } from './visible.ts';
import type { PageQuery } from './visible.ts';

export interface Listed {
  config: RuntimeConfig;
  directory: ToolDirectory;
  /** Absent where this process starts no servers. */
  standing?: Standing;
}

/** How a server stands in this process; `failure`: why it cannot be used. */
export type Standing = (server: string) => { state: string; failure?: string };

/** Undefined where a call would reach the tool, as far as is known without starting anything. */
function unavailable(
  capability: Capability,
  pin: PinState,
  standing: Standing | undefined,
): string | undefined {
  const { server } = capability;
  if (pin.state === 'quarantined') return `it is quarantined: ${pin.reason}`;
  if (pin.state === 'unpinned') return 'nobody has agreed to its definition yet';
  const failure = server === undefined ? undefined : standing?.(server).failure;
  return failure === undefined ? undefined : `the server ${server ?? ''} is down: ${failure}`;
}

/** In the words of the catalog, else of its server, else by its name. */
function describedAs({ description, tool }: Capability, definition: ToolDefinition | undefined): string {
  const said = description ?? definition?.description ?? '';
  return said.trim() === '' ? tool : said;
}

function view({ config, directory, standing }: Listed, capability: Capability): JsonObject {
  const definition = directory.definition(capability.id);
  const pin: PinState = definition?.pin ?? { state: 'unpinned' };
  const why = unavailable(capability, pin, standing);
  return {
    name: capability.name,
    id: capability.id,
    owner: capability.owner,
    mode: capability.mode,
    permission: capability.permission,
    version: capability.version,
    pack: capability.pack,
    description: describedAs(capability, definition),
    transport: capability.transport,
    server: capability.server ?? null,
    risk_tier: capability.risk,
    class: capability.class,
    network_access: capability.networkAccess,
    allowed_egress: capability.allowedEgress,
    tool_principal: capability.toolPrincipal,
    approval_required: capability.approval !== 'none',
    idempotency_key_required: capability.idempotency.keyRequired,
    timeout_seconds: capability.timeoutSeconds,
    expose: capability.expose,
    in_inventory: config.agent.approvedCapabilities.includes(capability.id),
    available: why === undefined,
    ...(why === undefined ? {} : { unavailable_because: why }),
    pin: pin.state,
    ...('digest' in pin ? { pin_digest: pin.digest } : {}),
    ...('reason' in pin ? { pin_reason: pin.reason } : {}),
  };
}

/** All configured capabilities by id. */
export function capabilityViews(parts: Listed): JsonObject[] {
  return Object.values(parts.config.capabilities)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((capability) => view(parts, capability));
}

/** A page of the catalog by id; `status` is the state of the pin. Throws INVALID_INPUT. */
export function capabilityPage(parts: Listed, query: PageQuery): Listing {
  const { filter = {}, cursor } = query;
  const limit = checkedLimit(query.limit);
  checkStatus('capability', filter.status);
  if (filter.session_id !== undefined) {
    throw new RuntimeError('INVALID_INPUT', '/filter/session_id: a capability has no session', {
      field: '/filter/session_id',
    });
  }
  const after = cursor === undefined ? undefined : decodeCursor(cursor)[1];
  const kept = capabilityViews(parts)
    .filter((one) => filter.status === undefined || one.pin === filter.status)
    .filter((one) => filter.tool === undefined || one.id === filter.tool || one.name === filter.tool)
    .filter((one) => after === undefined || (one.id as string) > after);
  const items = kept.slice(0, limit);
  const last = items.at(-1)?.id;
  if (kept.length <= limit || typeof last !== 'string') return { items };
  return { items, next_cursor: encodeCursor([0, last]) };
}

export interface CatalogParts extends Listed {
  gate: Gate;
}

/** The roles of arguments; where the catalog gives none, what their names and formats suggest. */
function roleView(capability: Capability | undefined, definition: ToolDefinition | undefined): JsonObject {
  const lines = (roles: readonly { pointer: string; role: string }[]): string[] =>
    roles.map(({ pointer, role }) => `${pointer} ${role}`);
  const given = capability?.argumentRoles ?? [];
  if (given.length > 0) return { argument_roles: lines(given) };
  if (definition === undefined) return {};
  return { suggested_argument_roles: lines(suggestRoles(definition.inputSchema)) };
}

function definitionView(definition: ToolDefinition): JsonObject {
  const { title, description, inputSchema, outputSchema, annotations } = definition;
  return {
    ...(title === undefined ? {} : { title }),
    description,
    input_schema: inputSchema,
    ...(outputSchema === undefined ? {} : { output_schema: outputSchema }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function registryMark({ registry }: RuntimeConfig['policy'], id: string): string {
  if (registry.denied.includes(id)) return 'denied';
  return registry.allowed.includes(id) ? 'allowed' : 'not listed';
}

function rulesFor(config: RuntimeConfig, id: string): JsonObject[] {
  const { workspace, lanes, tasks } = config.policy;
  return [workspace, ...Object.values(lanes), ...Object.values(tasks)].flatMap((layer) =>
    layer.rules
      .filter((rule) => rule.tools === '*' || rule.tools.includes(id))
      .map((rule): JsonObject => ({
        id: rule.id,
        layer: `${layer.level} ${layer.name}`,
        decision: rule.decision,
        ...(rule.when === undefined ? {} : { when: rule.when }),
      })),
  );
}

/** What policy says of the tool before its arguments are known, for this caller in the gateway's intent. */
function policyView({ config, directory, gate }: CatalogParts, caller: Caller, id: string): JsonObject {
  const intent = config.runtime.gatewayIntent;
  const reach = gate.reach({
    tool: id,
    caller,
    agentId: config.agent.id,
    session: {
      id: 'none',
      lane: caller.lane,
      task: 'agent-session',
      ...(intent === undefined ? {} : { intent }),
    },
    pin: directory.definition(id)?.pin ?? { state: 'unpinned' },
  });
  const intents = Object.values(config.intents);
  return {
    reachable: reach.reachable,
    approval_required: reach.approvalRequired,
    because: reach.found.map((one) => `${one.ruleId}: ${one.reason}`),
    intent: intent ?? null,
    registry: registryMark(config.policy, id),
    in_inventory: config.agent.approvedCapabilities.includes(id),
    allowed_in_intents: intents.filter((one) => one.allowTools.includes(id)).map((one) => one.id),
    approval_in_intents: intents.filter((one) => one.approvalRequiredTools.includes(id)).map((one) => one.id),
    rules: rulesFor(config, id),
  };
}

function serverView({ config, standing }: CatalogParts, server: string | undefined): JsonObject | null {
  const known = server === undefined ? undefined : config.servers[server];
  if (server === undefined || known === undefined) return null;
  const { state = 'not started here', failure } = standing?.(server) ?? {};
  return { name: server, transport: known.transport, state, ...(failure === undefined ? {} : { failure }) };
}

function catalogView(parts: CatalogParts, found: Found): JsonObject {
  const { capability, definition, id } = found;
  if (capability === undefined) return { id, in_catalog: false, pin: definition?.pin.state ?? 'unpinned' };
  return { ...view(parts, capability), in_catalog: true, scopes: capability.scopes };
}

interface Found {
  id: string;
  capability: Capability | undefined;
  definition: ToolDefinition | undefined;
}

function find({ config, directory }: CatalogParts, id: string): Found {
  const all = Object.values(config.capabilities);
  const capability = all.find((one) => one.id === id) ?? all.find((one) => one.name === id);
  const own = capability?.id ?? id;
  return { id: own, capability, definition: directory.definition(own) };
}

/** One tool of the catalog, or one that is pinned and not in it, by id or name. Throws NOT_FOUND. */
export function inspectCapability(parts: CatalogParts, caller: Caller, name: string): InspectionView {
  const found = find(parts, name);
  const { id, capability, definition } = found;
  if (capability === undefined && definition === undefined) throw notFound('capability', name);
  const state: JsonObject = {
    ...catalogView(parts, found),
    server: serverView(parts, capability?.server ?? definition?.server),
    policy: policyView(parts, caller, id),
    definition: definition === undefined ? null : definitionView(definition),
    ...roleView(capability, definition),
  };
  return { kind: 'capability', id, state, timeline: [], decisions: [], receipts: [], links: {} };
}
