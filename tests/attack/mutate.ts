// Owns the mutations of a JSON value: one change at one place, at any depth.
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import type { Random } from './random.ts';

interface Place {
  holder: JsonObject | JsonValue[];
  key: string | number;
}

function placesOf(value: JsonValue): Place[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, key): Place[] => [{ holder: value, key }, ...placesOf(item)]);
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]): Place[] => [{ holder: value, key }, ...placesOf(item)]);
}

/** The text with one character flipped, added, dropped, or in another Unicode form. */
export function otherText(text: string, by: Random): string {
  const at = by.below(text.length + 1);
  const kind = by.below(5);
  if (text === '' || kind === 0) return `${text.slice(0, at)}\u200b${text.slice(at)}`;
  if (kind === 1) return text.slice(0, Math.max(0, at - 1)) + text.slice(Math.max(1, at));
  if (kind === 2) return `${text} `;
  if (kind === 3) return text.replace(/[a-z]/, (char) => char.toUpperCase());
  const index = by.below(text.length);
  const flipped = String.fromCharCode(text.charCodeAt(index) ^ (1 << by.below(5)));
  return `${text.slice(0, index)}${flipped}${text.slice(index + 1)}`;
}

function otherValue(value: JsonValue, by: Random): JsonValue {
  if (by.below(6) === 0) return by.pick<JsonValue>([null, true, false, 0, '', [], {}]);
  if (typeof value === 'string') return otherText(value, by);
  if (typeof value === 'number') return by.pick([value + 1, -value, value * 10, value + 0.5, String(value)]);
  if (typeof value === 'boolean') return by.pick<JsonValue>([!value, String(value), Number(value)]);
  if (value === null) return by.pick<JsonValue>(['null', 0, false, {}]);
  if (Array.isArray(value))
    return by.pick<JsonValue>([[...value].reverse(), value.slice(1), [...value, null], [value]]);
  return by.pick<JsonValue>([{ ...value, extra: 1 }, [value], {}]);
}

/** A copy of the object with one change somewhere in it; it may turn out equal. */
export function mutated(original: JsonObject, by: Random): JsonObject {
  const copy = structuredClone(original);
  const place = by.pick(placesOf(copy));
  const { holder, key } = place;
  if (Array.isArray(holder)) {
    holder[key as number] = otherValue(holder[key as number] ?? null, by);
    return copy;
  }
  const name = String(key);
  const value = holder[name] ?? null;
  const kind = by.below(5);
  if (kind === 0) Reflect.deleteProperty(holder, name);
  else if (kind === 1) {
    Reflect.deleteProperty(holder, name);
    holder[otherText(name, by)] = value;
  } else if (kind === 2) holder[`${name}_2`] = value;
  else holder[name] = otherValue(value, by);
  return copy;
}
