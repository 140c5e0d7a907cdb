// Owns the names of the catalog as it is registered: unique, and no foreign use of ours.
import { RuntimeError } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';
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
