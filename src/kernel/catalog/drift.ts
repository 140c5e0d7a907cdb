// Owns inventory drift: where the approved inventory, the catalog and the tools themselves no longer agree.
import { digestJson } from '../../base/digest.ts';
import type { JsonObject } from '../../base/json.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { ToolDefinition } from '../execution/executor.ts';

export interface InventoryDrift {
  has_drift: boolean;
  /** Approved for the agent, but not in the catalog. */
  missing_from_catalog: string[];
  /** In the catalog, but not approved for the agent. */
  missing_from_inventory: string[];
  /** In the catalog, but its server declares no such tool, or it is not what was pinned. */
  changed: { tool: string; what: string }[];
}

/** The parts of a definition that a person approves; annotations and icons may not decide anything but are shown. */
export function definitionDigest(definition: ToolDefinition): string {
  const { server, name, title, description, inputSchema, outputSchema, annotations } = definition;
  const parts = { server, name, title, description, inputSchema, outputSchema, annotations };
  const present = Object.entries(parts).filter(([, value]) => value !== undefined);
  return digestJson(Object.fromEntries(present) as JsonObject);
}

function changeOf(
  definition: ToolDefinition | undefined,
  declared: JsonObject | undefined,
): string | undefined {
  if (definition === undefined) return 'no definition is known';
  const { pin } = definition;
  if (pin.state === 'quarantined') return `quarantined: ${pin.reason}`;
  if (pin.state === 'unpinned') return 'not pinned';
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
  const missingFromCatalog = [...approved].filter((id) => !catalog.has(id)).sort();
  const missingFromInventory = [...catalog].filter((id) => !approved.has(id)).sort();
  const changed: InventoryDrift['changed'] = [];
  for (const id of [...catalog].sort()) {
    const what = changeOf(known.get(id), config.capabilities[id]?.inputSchema);
    if (what !== undefined) changed.push({ tool: id, what });
  }
  return {
    has_drift: missingFromCatalog.length + missingFromInventory.length + changed.length > 0,
    missing_from_catalog: missingFromCatalog,
    missing_from_inventory: missingFromInventory,
    changed,
  };
}
