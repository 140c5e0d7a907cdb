// Owns the names of the catalog as it is registered: unique, and no foreign use of ours; and what each spelling means.
import { RuntimeError } from '../../base/errors.ts';
import { portableName } from '../../base/tool-name.ts';
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

type Catalog = RuntimeConfig['capabilities'];

/** What no two tools are called by; a portable name stands before the catalog's own. */
function spellingsOf(capabilities: Catalog): ReadonlyMap<string, string> {
  const spellings = new Map<string, string>();
  const shared = new Set<string>();
  for (const { name, id } of Object.values(capabilities)) {
    if (spellings.has(name)) shared.add(name);
    spellings.set(name, id);
  }
  for (const name of shared) spellings.delete(name);
  for (const id of Object.keys(capabilities)) spellings.set(portableName(id), id);
  return spellings;
}

const known = new WeakMap<Catalog, ReadonlyMap<string, string>>();

/**
 * The canonical id for any spelling of a tool: canonical, portable, or the catalog's own name where only one tool has it. What
 * is called nothing stays as it is, and is denied by the gate.
 */
export function canonicalId({ capabilities }: Pick<RuntimeConfig, 'capabilities'>, spelling: string): string {
  if (Object.hasOwn(capabilities, spelling)) return spelling;
  let spellings = known.get(capabilities);
  if (spellings === undefined) {
    spellings = spellingsOf(capabilities);
    known.set(capabilities, spellings);
  }
  return spellings.get(spelling) ?? spelling;
}
