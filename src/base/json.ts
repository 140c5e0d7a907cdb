// Owns JSON values: the limits on what is taken in, the one canonical text (RFC 8785), and strict parsing.
// J1: no value passes `checkJson` with a reserved or non-string key, a non-finite or unsafe number, or beyond the limits.
// J2: `canonicalJson` is only given checked values, so every reader of one input sees the same object.
import { RuntimeError } from './errors.ts';
import { orderedKeys } from './key-order.ts';
import { isPlainText } from './plain-text.ts';

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

export interface JsonLimits {
  /** Nested containers; the top-level container is depth 1. */
  maxDepth: number;
  /** UTF-8 bytes of the text, or of all keys and strings of a value. */
  maxBytes: number;
}

// JSON.stringify throws near depth 5,000 on Node 20; 64 is what no honest tool call reaches.
export const DEFAULT_JSON_LIMITS: JsonLimits = { maxDepth: 64, maxBytes: 1024 * 1024 };

// Each of these, as an own key, has turned a plain assignment into a prototype change somewhere.
const RESERVED_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function refuse(path: string, why: string): never {
  throw new RuntimeError('INVALID_INPUT', `${path === '' ? 'value' : path} ${why}`, {
    field: path === '' ? '/' : path,
  });
}

export function childPointer(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

interface Pending {
  value: unknown;
  /** Where the value stands; made only for what is refused. */
  parent: Pending | undefined;
  key: string | number;
  depth: number;
}

function pathOf(item: Pending | undefined): string {
  return item?.parent === undefined ? '' : childPointer(pathOf(item.parent), item.key);
}

// UTF-8 needs at most three bytes for a UTF-16 unit: most values fit even so, and none of their texts is measured.
const MOST_BYTES_A_UNIT = 3;

function checkScalar(item: Pending): number {
  const { value } = item;
  if (value === null || typeof value === 'boolean') return 4;
  if (typeof value === 'string') {
    if (!value.isWellFormed()) refuse(pathOf(item), 'holds a lone surrogate, which has no canonical form');
    return value.length * MOST_BYTES_A_UNIT;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse(pathOf(item), 'is not a finite number');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      refuse(
        pathOf(item),
        'is an integer beyond 2^53, which JSON readers do not agree on; send it as a string',
      );
    }
    return 8;
  }
  refuse(pathOf(item), `is not a JSON value (${typeof value})`);
}

/** Puts the members on the stack, the first on top, and gives what they weigh at most beside their values. */
function pushMembers(item: Pending, stack: Pending[]): number {
  const { depth } = item;
  if (Array.isArray(item.value)) {
    const items = item.value as unknown[];
    for (let key = items.length - 1; key >= 0; key--) {
      stack.push({ value: items[key], parent: item, key, depth: depth + 1 });
    }
    return 2 + items.length;
  }
  const value = item.value as Record<string, unknown>;
  const keys = Object.keys(value);
  let bytes = 2 + keys.length;
  for (const key of keys) {
    if (RESERVED_KEYS.has(key)) refuse(childPointer(pathOf(item), key), 'is a reserved key');
    if (!key.isWellFormed()) refuse(pathOf(item), 'has a key with a lone surrogate');
    bytes += key.length * MOST_BYTES_A_UNIT + 3;
  }
  for (const key of keys.reverse()) stack.push({ value: value[key], parent: item, key, depth: depth + 1 });
  return bytes;
}

function checkContainer(item: Pending, limits: JsonLimits): void {
  if (item.depth > limits.maxDepth) refuse(pathOf(item), `is nested deeper than ${limits.maxDepth} levels`);
  const proto: unknown = Object.getPrototypeOf(item.value);
  if (!Array.isArray(item.value) && proto !== Object.prototype && proto !== null) {
    refuse(pathOf(item), 'is not a plain object');
  }
}

function refuseSize(limits: JsonLimits): never {
  refuse('', `is larger than ${limits.maxBytes} bytes`);
}

/** Bytes of all keys and strings, and of what JSON puts around them; the value has passed every other check. */
function weigh(value: unknown): number {
  let bytes = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0) {
    const item = stack.pop();
    if (typeof item === 'string') bytes += Buffer.byteLength(item);
    else if (typeof item === 'number') bytes += 8;
    else if (typeof item !== 'object' || item === null) bytes += 4;
    else {
      const members = Object.values(item);
      bytes += 2 + members.length;
      if (!Array.isArray(item)) for (const key of Object.keys(item)) bytes += Buffer.byteLength(key) + 3;
      for (const member of members) stack.push(member);
    }
  }
  return bytes;
}

/**
 * Checks a value that some reader has already parsed (J1), without recursion.
 * Throws INVALID_INPUT with the JSON pointer of the first offence in `details.field`.
 */
export function checkJson(value: unknown, limits: JsonLimits = DEFAULT_JSON_LIMITS): JsonValue {
  const stack: Pending[] = [{ value, parent: undefined, key: '', depth: 1 }];
  let most = 0;
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (typeof item.value === 'object' && item.value !== null) {
      checkContainer(item, limits);
      most += pushMembers(item, stack);
    } else {
      most += checkScalar(item);
    }
    // No text is shorter than a third of what it was taken for.
    if (most > limits.maxBytes * MOST_BYTES_A_UNIT) refuseSize(limits);
  }
  if (most > limits.maxBytes && weigh(value) > limits.maxBytes) refuseSize(limits);
  return value as JsonValue;
}

function canonicalString(text: string): string {
  if (isPlainText(text)) return `"${text}"`;
  if (!text.isWellFormed()) refuse('', 'holds a lone surrogate, which has no canonical form');
  return JSON.stringify(text);
}

// The text is handed on and comes back longer: what is only ever added to at its end is put together at the least cost.

function withItems(text: string, items: JsonValue[]): string {
  let longer = text;
  let before = '[';
  for (const item of items) {
    longer = withValue(longer + before, item);
    before = ',';
  }
  return longer + (before === '[' ? '[]' : ']');
}

function withMembers(text: string, value: JsonObject): string {
  let longer = text;
  let before = '{';
  for (const { key, said } of orderedKeys(value)) {
    const member: JsonValue | undefined = value[key];
    if (member === undefined) continue;
    longer = withValue(longer + before + (said ?? `${canonicalString(key)}:`), member);
    before = ',';
  }
  return longer + (before === '{' ? '{}' : '}');
}

function withValue(text: string, value: JsonValue): string {
  switch (typeof value) {
    case 'string':
      return text + canonicalString(value);
    case 'number':
      // Text is made of a number as RFC 8785 makes it (-0 is 0), but also of the non-finite.
      return text + (Number.isFinite(value) ? String(value) : noJsonForm());
    case 'boolean':
      return text + (value ? 'true' : 'false');
    case 'object':
      if (value === null) return `${text}null`;
      return Array.isArray(value) ? withItems(text, value) : withMembers(text, value);
    default:
      return noJsonForm();
  }
}

function noJsonForm(): never {
  throw new RuntimeError('INVALID_INPUT', 'value has no JSON form');
}

/** RFC 8785 text of a checked value (J2). Keys whose value is undefined are left out. */
export function canonicalJson(value: JsonValue): string {
  return withValue('', value);
}

/** Narrows to an object (not an array, not null). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
