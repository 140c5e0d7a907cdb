// Owns the health check of the inventory: whether what is approved, what is catalogued and what was pinned still agree.
import type { RuntimeConfig } from '../config/types.ts';
import { inventoryDrift } from '../kernel/catalog/drift.ts';
import type { InventoryDrift } from '../kernel/catalog/drift.ts';
import type { ToolDirectory } from '../kernel/execution/executor.ts';

export interface InventoryCheck {
  check: 'inventory';
  status: 'fail' | 'warn' | 'ok';
  detail: string;
  action?: string;
  inventory: InventoryDrift;
}

function detailOf(drift: InventoryDrift): string {
  const parts: [string, string[]][] = [
    ['approved, but not in the catalog', drift.missing_from_catalog],
    ['changed', drift.changed.map(({ tool, what }) => `${tool} (${what})`)],
    ['in the catalog, but not approved', drift.missing_from_inventory],
  ];
  return parts
    .filter(([, tools]) => tools.length > 0)
    .map(([said, tools]) => `${said}: ${tools.join(', ')}`)
    .join('; ');
}

function actionOf(drift: InventoryDrift): string {
  const isListed = drift.missing_from_catalog.length + drift.missing_from_inventory.length > 0;
  return [
    ...(drift.changed.length === 0
      ? []
      : ['Read the difference, then run `agent-runtime capabilities pin`, or correct capabilities.yaml.']),
    ...(isListed
      ? ['Make approved_capabilities in agent.yaml and capabilities.yaml name the same tools.']
      : []),
  ].join(' ');
}

/** A tool that the agent merely may not use is a warning; one that is not what was agreed to is a failure. */
export function inventoryCheck(config: RuntimeConfig, directory: ToolDirectory): InventoryCheck {
  const inventory = inventoryDrift(config, directory.all());
  const check = 'inventory';
  if (!inventory.has_drift) {
    return {
      check,
      status: 'ok',
      detail: 'inventory and catalog agree, and no tool differs from its pin',
      inventory,
    };
  }
  const isBroken = inventory.missing_from_catalog.length + inventory.changed.length > 0;
  return {
    check,
    status: isBroken ? 'fail' : 'warn',
    detail: detailOf(inventory),
    action: actionOf(inventory),
    inventory,
  };
}
