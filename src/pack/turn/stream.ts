// Owns live output: what of a growing answer is already the message, at most ten snapshots a second, each with only what
// is new, and one final snapshot that equals the output. A partial is for showing; nothing is ever decided on it.
import type { Clock } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { TurnFailure, TurnOutput, TurnSnapshot } from './contract.ts';

const MIN_GAP_MS = 100;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

interface Scanned {
  value: string;
  /** Index after the closing quote; undefined while the string is still open. */
  end: number | undefined;
}

/** The JSON string that opens at `start`, as far as it has come; an escape that is cut off is left for later. */
function scanString(text: string, start: number): Scanned {
  let value = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') return { value, end: at + 1 };
    if (char !== '\\') {
      value += char;
      continue;
    }
    const escape = text.charAt(at + 1);
    if (escape === 'u') {
      const digits = text.slice(at + 2, at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) break;
      value += String.fromCharCode(Number.parseInt(digits, 16));
      at += 5;
    } else {
      const plain = ESCAPES[escape];
      if (plain === undefined) break;
      value += plain;
      at += 1;
    }
  }
  return { value, end: undefined };
}

/** The value of the top-level key `assistant_message`, as far as it has come. */
function messageIn(object: string): string {
  let depth = 0;
  for (let at = 0; at < object.length; at++) {
    const char = object.charAt(at);
    if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    else if (char === '"') {
      const { value, end } = scanString(object, at);
      if (end === undefined) return '';
      const after = /^\s*:\s*"/.exec(object.slice(end, end + 64));
      if (depth === 1 && value === 'assistant_message' && after !== null) {
        return scanString(object, end + after[0].length - 1).value;
      }
      at = end - 1;
    }
  }
  return '';
}

/** White space, or the opening of a fence without what it holds: what follows may be the governed form. */
const UNDECIDED = /^\s*(?:`{1,2}|```(?:j|js|jso|json)?|```(?:json)?[ \t]*\r?(?:\n\s*)?)?$/;

/** What of the text so far is the message to the user: all of a plain text, only the message of the governed form. */
export function visibleMessage(text: string): string {
  if (UNDECIDED.test(text)) return '';
  const bare = text.trimStart();
  if (bare.startsWith('{')) return messageIn(bare);
  if (!bare.startsWith('`')) return text;
  const fenced = /^```(?:json)?[ \t]*\r?\n\s*\{/.exec(bare);
  return fenced === null ? text : messageIn(bare.slice(fenced[0].length - 1));
}

/** What was shown of a turn while its answer grew. */
export interface Streamed {
  /** Of all snapshots, the final one among them, which is sent once the turn is on record. */
  count: number;
  /** For each partial, by its sequence number: when, counted from the beginning, and how far into the text. */
  partials: { after_ms: number; characters: number }[];
  /** All partials together. */
  text: string;
}

export interface TurnStream {
  onText(delta: string): void;
  /** No partial comes after this. */
  close(): Streamed;
  /** Sends the final snapshot. */
  finish(answer: TurnOutput | TurnFailure): void;
}

/** Sends snapshots to `send`; a listener that throws ends the stream and nothing else. */
export function createTurnStream(clock: Clock, send: (snapshot: TurnSnapshot) => void): TurnStream {
  const begunAt = clock.monotonic();
  const partials: Streamed['partials'] = [];
  let raw = '';
  let text = '';
  let sequence = 0;
  let lastAt = -Infinity;
  let state: 'open' | 'closed' | 'over' = 'open';
  let cancelTimer: (() => void) | undefined;

  const emit = (kind: TurnSnapshot['state'], data: JsonObject): void => {
    try {
      send({ sequence: sequence++, state: kind, data });
    } catch {
      state = 'over';
    }
  };
  const flush = (): void => {
    cancelTimer = undefined;
    if (state !== 'open') return;
    const visible = visibleMessage(raw);
    const upTo = visible.isWellFormed() ? visible.length : visible.length - 1; // half a character waits for its rest
    if (upTo <= text.length) return;
    lastAt = clock.monotonic();
    const delta = visible.slice(text.length, upTo);
    text = visible.slice(0, upTo);
    partials.push({ after_ms: Math.round(lastAt - begunAt), characters: upTo });
    emit('partial', { assistant_message_delta: delta });
  };

  const close = (): Streamed => {
    cancelTimer?.();
    if (state === 'open') state = 'closed';
    return { count: state === 'closed' ? sequence + 1 : sequence, partials, text };
  };

  return {
    onText(delta) {
      if (state !== 'open') return;
      raw += delta;
      const wait = lastAt + MIN_GAP_MS - clock.monotonic();
      if (wait <= 0) flush();
      else cancelTimer ??= clock.after(wait, flush);
    },
    close,
    finish(answer) {
      if (close().count > sequence) emit('final', JSON.parse(JSON.stringify(answer)) as JsonObject);
      state = 'over';
    },
  };
}
