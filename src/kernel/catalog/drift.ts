// Owns inventory drift: where the approved inventory, the catalog and the tools themselves no longer agree.
import { digestJson } from '../../base/digest.ts';
import type { Capability, RuntimeConfig } from '../../config/types.ts';
import type { ToolDefinition } from '../execution/executor.ts';

export interface InventoryDrift {
  has_drift: boolean;
  /** Approved for the agent, but not in the catalog. */
  missing_from_catalog: string[];
  /** In the catalog, but not approved for the agent. */
  missing_from_inventory: string[];
  /** In the catalog, but its server was pinned without such a tool, or it is no longer what was pinned. */
  changed: { tool: string; what: string }[];
}

/** What nobody has agreed to yet is no drift: it is denied, and there is nothing that it has left. */
function changeOf(
  { id, server, inputSchema: declared }: Capability,
  definitions: ReadonlyMap<string, ToolDefinition>,
  pinnedServers: ReadonlySet<string | undefined>,
): string | undefined {
  const definition = definitions.get(id);
  if (definition === undefined) {
    return server !== undefined && pinnedServers.has(server)
      ? `no such tool was pinned of the server ${server}`
      : undefined;
  }
  if (definition.pin.state === 'quarantined') return `quarantined: ${definition.pin.reason}`;
  const isOther = declared !== undefined && digestJson(declared) !== digestJson(definition.inputSchema);
  return isOther ? 'its input schema is not the one in the catalog' : undefined;
}

export function inventoryDrift(
  config: RuntimeConfig,
  definitions: readonly ToolDefinition[],
): InventoryDrift {
  const catalog = new Set(Object.keys(config.capabilities));
  const approved = new Set(config.agent.approvedCapabilities);
  const known = new Map(definitions.map((definition) => [definition.id, definition]));
  const servers = new Set(definitions.map(({ server }) => server));
  const missingFromCatalog = [...approved].filter((id) => !catalog.has(id)).sort();
  const missingFromInventory = [...catalog].filter((id) => !approved.has(id)).sort();
  const changed: InventoryDrift['changed'] = [];
  for (const capability of Object.values(config.capabilities)) {
    const what = changeOf(capability, known, servers);
    if (what !== undefined) changed.push({ tool: capability.id, what });
  }
  changed.sort((a, b) => (a.tool < b.tool ? -1 : 1));
  return {
    has_drift: missingFromCatalog.length + missingFromInventory.length + changed.length > 0,
    missing_from_catalog: missingFromCatalog,
    missing_from_inventory: missingFromInventory,
    changed,
  };
}
