// Owns what may come in on a line: bytes → JSON-RPC messages or refusals. Nothing behind it sees a longer line, deeper
// nesting, a duplicate key or anything that is not one JSON-RPC message, and no line ends the connection.
import { parseJSONRPCMessage } from '@modelcontextprotocol/server';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/server';
import { asRuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import { scanJsonText } from '../base/strict-json.ts';

export interface LineLimits {
  maxBytes: number;
  maxDepth: number;
}

export type LineEvent =
  | { kind: 'message'; message: JSONRPCMessage }
  | { kind: 'refused'; id: RequestId | null; code: -32600 | -32700; message: string };

const NEWLINE = 0x0a;
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
  if (!/__proto__|\\u00/i.test(text)) return false;
  const stack: unknown[] = [value];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (typeof item !== 'object' || item === null) continue;
    if (Object.hasOwn(item, '__proto__')) return true;
    stack.push(...(Object.values(item) as unknown[]).filter((child) => child !== undefined));
  }
  return false;
}

/** One text that should be one JSON-RPC message. */
export function judgeText(text: string, maxDepth: number): LineEvent {
  try {
    scanJsonText(text, { maxDepth, maxBytes: Number.MAX_SAFE_INTEGER });
  } catch (thrown) {
    const error = asRuntimeError(thrown);
    const value = parsed(text);
    if (value === undefined) return refused(-32700, 'Parse error: the line is not JSON');
    const id = error.details.field === 'id' ? null : requestIdOf(value);
    return refused(-32600, `Invalid request: ${error.message}`, id);
  }
  const value = parsed(text);
  if (value === undefined) return refused(-32700, 'Parse error: the line is not JSON');
  if (hasPrototypeKey(text, value)) {
    return refused(-32600, 'Invalid request: __proto__ is a reserved key', requestIdOf(value));
  }
  try {
    return { kind: 'message', message: parseJSONRPCMessage(value) };
  } catch {
    const what = Array.isArray(value) ? 'batches are not supported' : 'the line is not a JSON-RPC message';
    return refused(-32600, `Invalid request: ${what}`, requestIdOf(value));
  }
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
    const bytes = this.#discarding ? undefined : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    this.#discarding = false;
    if (bytes === undefined) return;
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      events.push(refused(-32700, 'Parse error: the line is not UTF-8'));
      return;
    }
    if (text.trim() !== '') events.push(judgeText(text, this.#limits.maxDepth));
  }
}
