// Owns the catalog as it is registered: unique names, no foreign use of ours, and a schema that can be checked.
import { RuntimeError } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { ToolDefinition } from '../execution/executor.ts';
import type { SchemaCache } from '../policy/arg-schema.ts';
import { createToolNames, RESERVED_SERVER } from './names.ts';
import type { ToolNames } from './names.ts';

/** Throws CONFIGURATION_ERROR for a reserved server, or a name that would mean two tools. */
export function registerNames(config: RuntimeConfig, ownIds: readonly string[] = []): ToolNames {
  for (const { id, server } of Object.values(config.capabilities)) {
    if (server === RESERVED_SERVER || id.startsWith(`${RESERVED_SERVER}:`)) {
      throw new RuntimeError('CONFIGURATION_ERROR', `${id}: the server name ${RESERVED_SERVER} is reserved`, {
        field: 'server',
        tool: id,
      });
    }
  }
  return createToolNames([...ownIds, ...Object.keys(config.capabilities)]);
}

/** Prepares every definition; answers with the tools whose schema is missing or refused, and why. */
export async function registerSchemas(
  schemas: SchemaCache,
  config: RuntimeConfig,
  definitions: readonly ToolDefinition[],
): Promise<{ tool: string; why: string }[]> {
  const known = new Map(definitions.map((definition) => [definition.id, definition.inputSchema]));
  const problems: { tool: string; why: string }[] = [];
  for (const { id, inputSchema } of Object.values(config.capabilities)) {
    const schema = known.get(id) ?? inputSchema;
    if (schema === undefined) {
      problems.push({ tool: id, why: 'it has no input schema' });
      continue;
    }
    const prepared = await schemas.prepare(schema);
    if ('refused' in prepared) problems.push({ tool: id, why: prepared.refused });
  }
  return problems;
}
