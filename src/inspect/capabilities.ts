// Owns the list of capabilities as an operator reads it: what is configured, what the pin says, what the agent may use.
import type { JsonObject } from '../base/json.ts';
import type { Capability, RuntimeConfig } from '../config/types.ts';
import type { ToolDirectory } from '../kernel/execution/executor.ts';

function view(config: RuntimeConfig, directory: ToolDirectory, capability: Capability): JsonObject {
  const pin = directory.definition(capability.id)?.pin ?? { state: 'unpinned' as const };
  return {
    name: capability.name,
    id: capability.id,
    owner: capability.owner,
    mode: capability.mode,
    permission: capability.permission,
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
    pin: pin.state,
    ...('digest' in pin ? { pin_digest: pin.digest } : {}),
    ...('reason' in pin ? { pin_reason: pin.reason } : {}),
  };
}

/** All configured capabilities by id. */
export function capabilityViews(config: RuntimeConfig, directory: ToolDirectory): JsonObject[] {
  return Object.values(config.capabilities)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((capability) => view(config, directory, capability));
}
