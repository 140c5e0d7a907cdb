// Owns the catalog that a host may pass on with a turn: the governed tools with their schemas and approval marks.
import type { JsonObject } from '../base/json.ts';

export interface CatalogTool {
  id: string;
  description: string;
  inputSchema: JsonObject;
  approval_required: boolean;
}

export interface CatalogEntry {
  name: string;
  description: string;
  input_schema: JsonObject;
  approval_required: boolean;
}

/** The runtime's own tools are never offered to the model that runs inside it. */
const OWN_PREFIX = 'agent:';

/** The tools of a connection that a model may be offered, without the runtime's own, in the order given. */
export function buildGovernedToolCatalog(tools: readonly CatalogTool[]): CatalogEntry[] {
  return tools
    .filter((tool) => !tool.id.startsWith(OWN_PREFIX))
    .map((tool) => ({
      name: tool.id,
      description: tool.description === '' ? tool.id : tool.description,
      input_schema: tool.inputSchema,
      approval_required: tool.approval_required,
    }));
}

/** The part of a catalog that a turn takes: names narrow, and the kernel's own definitions are what the model sees. */
export function toTurnCatalog(
  entries: readonly CatalogEntry[],
): { name: string; description: string; input_schema: JsonObject }[] {
  return entries.map(({ name, description, input_schema }) => ({ name, description, input_schema }));
}
