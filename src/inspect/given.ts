// Owns two small words of every view: members that are there, and times as a reader sees them. Pure.
import { isoTime } from '../base/clock.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';

/** Without the members that are undefined. */
export function given(pairs: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(pairs).filter(([, value]) => value !== undefined)) as JsonObject;
}

/** Milliseconds since 1970 as ISO 8601; undefined for what is no time. */
export function timeOf(value: unknown): string | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? isoTime(value) : undefined;
}
