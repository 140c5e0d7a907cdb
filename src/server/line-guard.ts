// Owns what may come in, as a line of stdio or a body of HTTP: bytes → JSON-RPC messages or refusals. Nothing behind it
// sees a longer line, deeper nesting, a duplicate key or anything that is not one JSON-RPC message, and no line ends the
// connection.
import { parseJSONRPCMessage } from '@modelcontextprotocol/server';
import type { JSONRPCMessage, JSONRPCRequest, RequestId } from '@modelcontextprotocol/server';
import { asRuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import { closingQuote, scanJsonText } from '../base/strict-json.ts';

export interface LineLimits {
  maxBytes: number;
  maxDepth: number;
}

export type LineEvent =
  | { kind: 'message'; message: JSONRPCMessage }
  | { kind: 'refused'; id: RequestId | null; code: -32600 | -32700; message: string };

/** What the bytes are to whoever sent them; refusals call them so. */
export type Unit = 'line' | 'body';

const NEWLINE = 0x0a;
const BLANK: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d]);
const utf8 = new TextDecoder('utf-8', { fatal: true });

function refused(code: -32600 | -32700, message: string, id: RequestId | null = null): LineEvent {
  return { kind: 'refused', id, code, message };
}

/** The id to answer to. A response carries an id of ours, which must not come back as if it were the client's. */
function requestIdOf(value: unknown): RequestId | null {
  if (!isObject(value) || typeof value.method !== 'string') return null;
  return typeof value.id === 'string' || typeof value.id === 'number' ? value.id : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// A copy of an object drops or obeys this key depending on how it is made; the only safe reading is none.
function hasPrototypeKey(text: string, value: unknown): boolean {
  if (!text.includes('__proto__') && !text.includes('\\u00')) return false;
  const stack: unknown[] = [value];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (typeof item !== 'object' || item === null) continue;
    if (Object.hasOwn(item, '__proto__')) return true;
    // One by one: spread, the members of a long array are more arguments than a call can have.
    for (const child of Object.values(item) as unknown[]) stack.push(child);
  }
  return false;
}

/** Whether the outermost object of a text that is JSON has two ids: nobody can say then which one waits for an answer. */
function hasTwoIds(text: string): boolean {
  let ids = 0;
  let depth = 0;
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (char === '{' || char === ',') isKey = true;
    if (char !== '"') continue;
    const end = closingQuote(text, at);
    if (isKey && depth === 1 && JSON.parse(text.slice(at, end + 1)) === 'id') ids += 1;
    isKey = false;
    at = end;
  }
  return ids > 1;
}

const RELATED_TASK = 'io.modelcontextprotocol/related-task';

function isId(value: unknown): boolean {
  return typeof value === 'string' || Number.isSafeInteger(value);
}

/** The commonest message, of which the schema of all messages would say the same at ten times the cost. */
function isPlainRequest(value: unknown): value is JSONRPCRequest {
  if (!isObject(value) || value.jsonrpc !== '2.0' || typeof value.method !== 'string' || !isId(value.id))
    return false;
  const { params } = value;
  if (!isObject(params) || Object.keys(value).length !== 4) return false;
  const { _meta: meta } = params;
  if (meta === undefined) return true;
  if (!isObject(meta) || meta[RELATED_TASK] !== undefined) return false;
  return meta.progressToken === undefined || isId(meta.progressToken);
}

function judgeValue(text: string, value: unknown, unit: Unit): LineEvent {
  if (hasPrototypeKey(text, value)) {
    return refused(-32600, 'Invalid request: __proto__ is a reserved key', requestIdOf(value));
  }
  if (isPlainRequest(value)) return { kind: 'message', message: value };
  try {
    return { kind: 'message', message: parseJSONRPCMessage(value) };
  } catch {
    const what = Array.isArray(value)
      ? 'batches are not taken; send each message by itself'
      : `the ${unit} is not one JSON-RPC 2.0 message`;
    return refused(-32600, `Invalid request: ${what}`, requestIdOf(value));
  }
}

/** Bytes that should be one JSON-RPC message. */
export function judgeBytes(bytes: Uint8Array, maxDepth: number, unit: Unit): LineEvent {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return refused(-32700, `Parse error: the ${unit} is not UTF-8`);
  }
  const value = parsed(text);
  if (value === undefined) {
    return refused(-32700, `Parse error: the ${unit} is ${text.trim() === '' ? 'empty' : 'not JSON'}`);
  }
  try {
    scanJsonText(text, maxDepth);
  } catch (thrown) {
    const id = hasTwoIds(text) ? null : requestIdOf(value);
    return refused(-32600, `Invalid request: ${asRuntimeError(thrown).message}`, id);
  }
  return judgeValue(text, value, unit);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts);
}

/** Cuts a byte stream into lines and judges each. Holds at most one line of `maxBytes`. */
export class LineGuard {
  readonly #limits: LineLimits;
  #parts: Uint8Array[] = [];
  #held = 0;
  #discarding = false;

  constructor(limits: LineLimits) {
    this.#limits = limits;
  }

  push(chunk: Uint8Array): LineEvent[] {
    const events: LineEvent[] = [];
    let from = 0;
    while (from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from);
      const to = newline === -1 ? chunk.length : newline;
      this.#hold(chunk.subarray(from, to), events);
      if (newline !== -1) this.#endLine(events);
      from = to + 1;
    }
    return events;
  }

  #hold(part: Uint8Array, events: LineEvent[]): void {
    if (this.#discarding || part.length === 0) return;
    this.#held += part.length;
    if (this.#held <= this.#limits.maxBytes) {
      this.#parts.push(part);
      return;
    }
    this.#discarding = true;
    this.#parts = [];
    events.push(refused(-32600, `Invalid request: the line is longer than ${this.#limits.maxBytes} bytes`));
  }

  #endLine(events: LineEvent[]): void {
    const bytes = this.#discarding ? undefined : joined(this.#parts);
    this.#parts = [];
    this.#held = 0;
    this.#discarding = false;
    if (bytes === undefined) return;
    if (bytes.every((byte) => BLANK.has(byte))) return;
    events.push(judgeBytes(bytes, this.#limits.maxDepth, 'line'));
  }
}
