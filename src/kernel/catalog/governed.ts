// Owns the list of tools one caller may reach: what registry, inventory, pins, scopes, intent and unconditional rules
// leave, each with its whole definition and whether a person will be asked.
import type { Capability, RuntimeConfig } from '../../config/types.ts';
import type { ToolDefinition } from '../execution/executor.ts';
import type { Gate, ReachInput } from '../policy/gate.ts';

export interface GovernedTool {
  /** As the server declares it: schema and annotations are kept. */
  definition: ToolDefinition;
  capability: Capability;
  /** A person is asked whatever the arguments are; others may still be asked, depending on them. */
  approvalRequired: boolean;
}

/** In the order of the canonical ids. */
export function governedTools(
  gate: Gate,
  config: RuntimeConfig,
  definitions: readonly ToolDefinition[],
  context: Omit<ReachInput, 'tool' | 'pin'>,
): GovernedTool[] {
  const out: GovernedTool[] = [];
  for (const definition of definitions) {
    if (!Object.hasOwn(config.capabilities, definition.id)) continue;
    const capability = config.capabilities[definition.id];
    if (capability === undefined) continue;
    const { reachable, approvalRequired } = gate.reach({
      ...context,
      tool: definition.id,
      pin: definition.pin,
    });
    if (reachable) out.push({ definition, capability, approvalRequired });
  }
  return out.sort((a, b) => (a.definition.id < b.definition.id ? -1 : 1));
}
