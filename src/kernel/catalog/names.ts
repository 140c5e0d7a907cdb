// Owns the two names of a tool: canonical (`server:tool`, `agent:execute-turn`) and portable (letters, digits,
// underscore), for hosts whose model APIs refuse a colon. Both lead to one tool or the catalog is refused.
import { RuntimeError } from '../../base/errors.ts';
import { portableName } from '../../base/tool-name.ts';

/** Our own tools; no server may carry it. */
export const RESERVED_SERVER = 'agent';
const CANONICAL = /^[A-Za-z0-9._-]{1,128}(?::[A-Za-z0-9._/-]{1,256})?$/;

export interface ToolNames {
  portable(canonical: string): string | undefined;
  /** The canonical id for either name. */
  canonical(name: string): string | undefined;
}

function refuse(message: string, details: Record<string, unknown>): never {
  throw new RuntimeError('CONFIGURATION_ERROR', message, details);
}

/** Throws CONFIGURATION_ERROR for a name that stands twice, is malformed, or means two tools. */
export function createToolNames(canonicalIds: readonly string[]): ToolNames {
  const portable = new Map<string, string>();
  const canonical = new Map<string, string>();
  for (const id of canonicalIds) {
    if (!CANONICAL.test(id))
      refuse(`the tool id ${JSON.stringify(id.slice(0, 120))} is malformed`, { tool: id.slice(0, 120) });
    if (portable.has(id)) refuse(`the tool ${id} stands twice in the catalog`, { tool: id });
    portable.set(id, portableName(id));
  }
  for (const [id, name] of portable) {
    for (const known of [id, name]) {
      const other = canonical.get(known);
      if (other !== undefined && other !== id) {
        refuse(`the tools ${other} and ${id} share the name ${known}; rename one server`, {
          tools: [other, id],
        });
      }
      canonical.set(known, id);
    }
  }
  return { portable: (id) => portable.get(id), canonical: (name) => canonical.get(name) };
}
