// Owns one line of a file of calls: from untrusted text to a call, or the field of the first offence.
import { asRuntimeError } from '../../base/errors.ts';
import { checkJson, DEFAULT_JSON_LIMITS, isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';
import { heardIn } from './heard-line.ts';
import type { HeardLine } from './heard-line.ts';

export interface CallLine {
  id: string | number;
  tool: string;
  args: JsonObject;
  session?: string;
  intent?: string;
  principal?: string;
  tenant?: string;
}

export type ParsedLine =
  | { ok: true; call: CallLine }
  | { ok: true; heard: HeardLine }
  | { ok: false; id: string | number | null; field: string; why: string };

// The arguments may use all of their own limits, and the line around them comes on top.
const LINE_LIMITS = {
  maxDepth: DEFAULT_JSON_LIMITS.maxDepth + 1,
  maxBytes: DEFAULT_JSON_LIMITS.maxBytes + 64 * 1024,
};
export const MAX_LINE_BYTES: number = LINE_LIMITS.maxBytes;

const OPTIONAL = ['session', 'intent', 'principal', 'tenant'] as const;
const FIELDS: readonly string[] = ['id', 'tool', 'arguments', ...OPTIONAL];

/** Top-level keys of object text in order, repeats included; the text is known to be JSON. */
function topKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') {
      const start = at;
      for (at += 1; text.charAt(at) !== '"'; at++) if (text.charAt(at) === '\\') at++;
      if (depth === 1 && expectsKey) keys.push(JSON.parse(text.slice(start, at + 1)) as string);
      expectsKey = false;
    } else if (char === '{' || char === '[') {
      depth += 1;
      expectsKey = depth === 1;
    } else if (char === '}' || char === ']') depth -= 1;
    else if (char === ',' && depth === 1) expectsKey = true;
  }
  return keys;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Where strict reading found its offence: a top-level field, or `line` for what is no JSON at all. */
function offendingField(text: string, pointer: unknown): string {
  if (!isJson(text) || Buffer.byteLength(text) > LINE_LIMITS.maxBytes) return 'line';
  if (typeof pointer === 'string' && pointer.startsWith('/')) {
    const first = pointer.split('/')[1] ?? '';
    return first === '' ? 'line' : first.replaceAll('~1', '/').replaceAll('~0', '~');
  }
  const keys = topKeys(text);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  // Only the arguments hold anything that can be too deep or hold a key twice.
  return twice ?? (keys.includes('arguments') ? 'arguments' : 'line');
}

/** What is left of the id on a line that was refused. */
function idOf(value: unknown): string | number | null {
  if (typeof value === 'string') return value.slice(0, 200);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function looseId(text: string): string | number | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? idOf(value.id) : null;
  } catch {
    return null;
  }
}

function fault(value: Record<string, JsonValue>): { field: string; why: string } | undefined {
  const { id, tool, arguments: args } = value;
  if ((typeof id !== 'string' || id === '') && typeof id !== 'number') {
    return { field: 'id', why: 'id must be a text or a number' };
  }
  if (typeof tool !== 'string' || tool === '') return { field: 'tool', why: 'tool must be a text' };
  if (!isObject(args)) return { field: 'arguments', why: 'arguments must be an object' };
  for (const field of OPTIONAL) {
    if (value[field] !== undefined && typeof value[field] !== 'string') {
      return { field, why: `${field} must be a text` };
    }
  }
  const unknown = Object.keys(value).find((key) => !FIELDS.includes(key));
  return unknown === undefined ? undefined : { field: unknown, why: 'no such field' };
}

/** Never throws. */
export function parseCallLine(text: string): ParsedLine {
  let value: JsonValue;
  try {
    value = parseJson(text, LINE_LIMITS);
  } catch (thrown) {
    const { message, details } = asRuntimeError(thrown);
    return { ok: false, id: looseId(text), field: offendingField(text, details.field), why: message };
  }
  if (!isObject(value)) return { ok: false, id: null, field: 'line', why: 'the line is not an object' };
  const heard = heardIn(value);
  if (heard !== undefined) return heard.ok ? { ok: true, heard: heard.line } : { id: null, ...heard };
  const found = fault(value);
  if (found !== undefined) return { ok: false, id: idOf(value.id), ...found };
  const { id, tool, arguments: args, ...rest } = value;
  try {
    if (text.length > DEFAULT_JSON_LIMITS.maxBytes / 4) checkJson(args);
  } catch (thrown) {
    return { ok: false, id: idOf(id), field: 'arguments', why: asRuntimeError(thrown).message };
  }
  return { ok: true, call: { id, tool, args, ...rest } as unknown as CallLine };
}
