// Owns what rules know of a session's past: which texts the user wrote, which came from outside and in which record, and
// which calls were made with what. Built from records in order; bounded, and what no longer fits is said, not forgotten.
//
// H1: a text is compared folded (form, case, hidden characters, white space), so that spelling does not change its label.
// H2: when something was let go, no label says `unknown`: what is not found may have stood there.
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { isObject } from '../../base/json.ts';
import { showHidden } from '../../base/text.ts';

/** Where an untrusted text stands. */
export interface Source {
  /** The call's id, or the record's place for what a host brought. */
  record: string;
  tool?: string;
  server?: string;
  isRead: boolean;
}

export interface Labels {
  user: boolean;
  untrusted: Source[];
}

/** How a call of the past ended; `open` is one that has no outcome yet. */
export type PastOutcome = 'open' | 'done' | 'failed' | 'not_executed';

export interface PastCall {
  tool: string;
  args: JsonObject;
  outcome: PastOutcome;
  result: JsonValue | undefined;
}

export interface Past {
  labels(text: string): Labels;
  calls(tool: string): readonly PastCall[];
}

/** A past that cannot be relied on; whoever asks for it denies. */
export interface NoPast {
  why: string;
}

export const LEAST_CHARACTERS = 8;
const MAX_TEXT = 256 * 1024;
const MAX_TEXTS = 1024 * 1024;
const MAX_CALLS = 2000;
const LET_GO: Source = { record: 'earlier text that is no longer held', isRead: false };

export function folded(text: string): string {
  const plain = showHidden(text.normalize('NFKC')).replace(/\\u\{[0-9a-f]+\}/g, '');
  return plain.toLowerCase().replace(/\s+/g, ' ').trim();
}

interface Held {
  text: string;
  source: Source;
}

/** Every text of a value, also of JSON that lies in a text: escapes would hide it. */
function textsIn(value: JsonValue): string[] {
  const texts: string[] = [];
  const stack: JsonValue[] = [value];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (typeof item === 'string') {
      texts.push(item);
      if (/^\s*[[{]/.test(item) && item.includes('\\')) {
        try {
          stack.push(JSON.parse(item) as JsonValue);
        } catch {
          // A text that only looks like JSON is held as it is.
        }
      }
    } else if (typeof item === 'number') texts.push(String(item));
    else if (typeof item === 'object' && item !== null) {
      for (const child of Array.isArray(item) ? item : Object.values(item)) stack.push(child);
    }
  }
  return texts;
}

class Shelf {
  readonly #held: Held[] = [];
  #size = 0;
  isCut = false;

  put(texts: readonly string[], source: Source): void {
    const joined = folded(texts.join('\n'));
    if (joined === '') return;
    if (joined.length > MAX_TEXT) this.isCut = true;
    const text = joined.slice(0, MAX_TEXT);
    this.#held.push({ text, source });
    this.#size += text.length;
    while (this.#size > MAX_TEXTS) {
      this.#size -= this.#held.shift()?.text.length ?? 0;
      this.isCut = true;
    }
  }

  find(text: string): Source[] {
    return this.#held.filter((one) => one.text.includes(text)).map(({ source }) => source);
  }
}

export class PastIndex implements Past {
  readonly #user = new Shelf();
  readonly #outside = new Shelf();
  readonly #calls = new Map<string, PastCall>();

  addUser(text: string): void {
    this.#user.put([text], { record: 'user', isRead: false });
  }

  addUntrusted(value: JsonValue, source: Source): void {
    this.#outside.put(textsIn(value), source);
  }

  /** A call that may have had its effect, whatever is heard of it later. */
  started(callId: string, call: { tool: string; args: JsonObject }): void {
    if (this.#calls.size < MAX_CALLS)
      this.#calls.set(callId, { ...call, outcome: 'open', result: undefined });
  }

  ended(callId: string, outcome: PastOutcome, result?: JsonValue): void {
    const call = this.#calls.get(callId);
    if (call !== undefined) this.#calls.set(callId, { ...call, outcome, result });
  }

  /** Whether rules over calls would miss some. */
  get isFull(): boolean {
    return this.#calls.size >= MAX_CALLS;
  }

  labels(text: string): Labels {
    const wanted = folded(text);
    const user = this.#user.find(wanted).length > 0;
    const untrusted = this.#outside.find(wanted);
    const isLost = !user && untrusted.length === 0 && (this.#user.isCut || this.#outside.isCut);
    return { user, untrusted: isLost ? [LET_GO] : untrusted };
  }

  calls(tool: string): readonly PastCall[] {
    return [...this.#calls.values()].filter((call) => call.tool === tool);
  }
}

export function isPast(past: Past | NoPast): past is Past {
  return !('why' in past);
}

/** The values at a pointer; `-` stands for every element of a list. */
export function valuesAt(value: JsonValue | undefined, tokens: readonly string[]): JsonValue[] {
  if (value === undefined) return [];
  const [token, ...rest] = tokens;
  if (token === undefined) return [value];
  if (Array.isArray(value)) {
    if (token === '-') return value.flatMap((child) => valuesAt(child, rest));
    return valuesAt(value[Number(token)], rest);
  }
  return isObject(value) && Object.hasOwn(value, token) ? valuesAt(value[token], rest) : [];
}
