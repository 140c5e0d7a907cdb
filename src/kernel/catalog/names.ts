// Owns the two names of a tool: canonical (`server:tool`, `agent:execute-turn`) and portable (letters, digits,
// underscore, hyphen), for hosts whose model APIs refuse a colon. Both lead to one tool or the catalog is refused.
import { sha256 } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';

export const MAX_TOOL_NAME = 64;
/** Our own tools; no server may carry it. */
export const RESERVED_SERVER = 'agent';
const CANONICAL = /^[A-Za-z0-9._-]{1,128}(?::[A-Za-z0-9._/-]{1,256})?$/;
const SUFFIX = 9; // `_` and 8 hex digits

/** At most 64 of `[A-Za-z0-9_-]`; deterministic, and different for different ids as far as a hash tells them apart. */
export function portableName(canonical: string): string {
  const isOwn = canonical.startsWith(`${RESERVED_SERVER}:`);
  const plain = canonical.replace(':', '_');
  const name = (isOwn ? plain.replaceAll('-', '_') : plain).replace(/[^A-Za-z0-9_-]/g, '_');
  const isExact = isOwn || name === plain;
  if (isExact && name.length <= MAX_TOOL_NAME) return name;
  return `${name.slice(0, MAX_TOOL_NAME - SUFFIX)}_${sha256(canonical).slice(0, 8)}`;
}

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
