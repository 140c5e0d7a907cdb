// Owns JSON pointers as mappings use them.
import { isObject } from '../../base/json.ts';
import type { JsonValue } from '../../base/json.ts';

export function pointerParts(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What lies at the pointer; undefined when nothing does. */
export function valueAt(value: JsonValue, pointer: string): JsonValue | undefined {
  let here: JsonValue | undefined = value;
  for (const part of pointerParts(pointer)) {
    if (Array.isArray(here)) here = /^(0|[1-9]\d*)$/.test(part) ? here[Number(part)] : undefined;
    else here = isObject(here) && Object.hasOwn(here, part) ? here[part] : undefined;
    if (here === undefined) return undefined;
  }
  return here;
}
