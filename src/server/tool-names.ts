// Owns the two spellings of a tool: the canonical id (`agent:execute-turn`, `files:read`) and the portable name that
// every model API takes (`agent_execute_turn`). Both are accepted on every call; one of them is listed, never both.
import { RuntimeError } from '../base/errors.ts';
import { portableName } from '../base/tool-name.ts';
import { refusesColon } from './hosts.ts';

/** How tool names are spelled: `canonical` has a colon, `portable` none; `auto` goes by the client's name. */
export type NameMode = 'auto' | 'canonical' | 'portable';

/** The spelling this client sees in the list. */
export function listedName(id: string, mode: NameMode, clientName: string | undefined): string {
  switch (mode) {
    case 'canonical':
      return id;
    case 'portable':
      return portableName(id);
    case 'auto':
      return refusesColon(clientName) ? portableName(id) : id;
  }
}

/** Every accepted spelling → its canonical id. A spelling that could mean two tools is refused, never guessed. */
export function nameTable(ids: readonly string[]): ReadonlyMap<string, string> {
  const table = new Map<string, string>();
  for (const id of ids) {
    for (const name of new Set([id, portableName(id)])) {
      const other = table.get(name);
      if (other !== undefined) {
        throw new RuntimeError(
          'CONFIGURATION_ERROR',
          `The tools ${other} and ${id} would share the name ${name}; rename the server of one of them.`,
          { tools: [other, id], name },
        );
      }
      table.set(name, id);
    }
  }
  return table;
}
