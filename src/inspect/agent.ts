// Owns the agent as a reviewer reads it: its configured identity beside the catalog, and what of the catalog writes, asks or
// needs a key. Starts nothing and decides nothing.
import type { JsonObject } from '../base/json.ts';
import type { Capability, RuntimeConfig } from '../config/types.ts';
import { catalogApprover } from '../kernel/policy/verdict.ts';
import { capabilityViews } from './capabilities.ts';
import type { Listed } from './capabilities.ts';

/** Who or what asks before every call of the tool, whatever its arguments are. */
function askedBy({ policy, intents }: RuntimeConfig, { id, approval, risk }: Capability): string[] {
  const { workspace, lanes, tasks } = policy;
  const layers = [workspace, ...Object.values(lanes), ...Object.values(tasks)];
  const asks = layers.flatMap(({ level, name, rules }) =>
    rules
      .filter(({ tools }) => tools === '*' || tools.includes(id))
      .filter(({ decision, when }) => decision === 'approval_required' && when === undefined)
      .map((rule) => `rule ${rule.id} of ${level} ${name}`),
  );
  const isRuled = workspace.rules.some(({ tools }) => tools === '*' || tools.includes(id));
  const byDefault = !isRuled && policy.defaultDecision === 'approval_required';
  const pinned = Object.values(intents).filter((one) => one.approvalRequiredTools.includes(id));
  return [
    ...(approval === 'none' ? [] : [`catalog: ${catalogApprover(approval.approver)}`]),
    ...(risk === 'critical' ? ['critical risk'] : []),
    ...asks,
    ...(byDefault ? [`default of ${workspace.level} ${workspace.name}`] : []),
    ...pinned.map((one) => `intent ${one.id}`),
  ];
}

/** Identity and catalog side by side; every name is a canonical id. */
export function agentView(parts: Listed): JsonObject {
  const { agent, capabilities } = parts.config;
  const all = Object.values(capabilities).sort((a, b) => (a.id < b.id ? -1 : 1));
  const writes = all.filter((one) => one.mode === 'write');
  const asking = all
    .map((one) => ({ capability: one.id, tool_principal: one.toolPrincipal, by: askedBy(parts.config, one) }))
    .filter(({ by }) => by.length > 0);
  const keyed = all.filter((one) => one.idempotency.keyRequired);
  return {
    agent_id: agent.id,
    display_name: agent.displayName,
    owner_team: agent.ownerTeam,
    runtime_principal: agent.runtimePrincipal,
    approved_capabilities: [...agent.approvedCapabilities],
    catalog_capability_names: all.map((one) => one.id),
    write_capabilities: writes.map((one) => one.id),
    write_capability_egress: Object.fromEntries(writes.map((one) => [one.id, [...one.allowedEgress]])),
    approval_required_capabilities: asking.map((one) => one.capability),
    approval_required_capability_bindings: asking,
    idempotency_required_capabilities: keyed.map((one) => one.id),
    idempotency_required_capability_bindings: keyed.map((one) => ({
      capability: one.id,
      tool_principal: one.toolPrincipal,
      argument: one.idempotency.argument ?? null,
    })),
    catalog_capabilities: capabilityViews(parts),
  };
}
