// Owns how tools are named in the files: a capability's name or its canonical id, both leading to the canonical id.
import type { CapabilitiesPart } from './files/capabilities.ts';
import type { PathPart, Problems } from './problems.ts';
import { didYouMean } from '../base/suggest.ts';

export class ToolNames {
  readonly #ids = new Map<string, string>();

  constructor(capabilities: CapabilitiesPart) {
    for (const { name, id } of capabilities.values()) {
      this.#ids.set(name, id);
      this.#ids.set(id, id);
    }
  }

  /** The canonical id, or undefined when no capability has this name. */
  find(name: string): string | undefined {
    return this.#ids.get(name);
  }

  /** The canonical ids of a list; an unknown or repeated name is a problem. */
  list(written: readonly string[], file: string, path: readonly PathPart[], problems: Problems): string[] {
    const ids = new Set<string>();
    for (const [at, name] of written.entries()) {
      const id = this.#ids.get(name);
      if (id === undefined) problems.add(file, [...path, at], this.unknown(name));
      else if (ids.has(id)) problems.add(file, [...path, at], `names ${id} a second time`);
      else ids.add(id);
    }
    return [...ids];
  }

  unknown(name: string): string {
    return `"${name}" is not a capability of capabilities.yaml${didYouMean(name, this.#ids.keys())}`;
  }
}
