// Owns the reading of JSON text from outside: size, depth and duplicate keys are judged on the text itself,
// because JSON.parse keeps the last of two equal keys silently and recurses before anyone can look.
import { RuntimeError } from './errors.ts';
import { checkJson, DEFAULT_JSON_LIMITS } from './json.ts';
import type { JsonLimits, JsonValue } from './json.ts';
import { isPlainText } from './plain-text.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

interface Frame {
  keys: Set<string> | undefined; // undefined inside an array
  expectsKey: boolean;
}

/** Index of the closing quote of the string that opens at `start`. */
export function closingQuote(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (before > start && text.charCodeAt(before) === BACKSLASH) before--;
    // Backslashes go in pairs; one that is left over escapes the quote.
    if ((end - before) % 2 === 1) return end;
  }
  return text.length;
}

/** The key whose quotes stand at `start` and `end`; without a closing quote `end` is the end of the text. */
function keyAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end);
  if (end < text.length && isPlainText(inner)) return inner;
  try {
    return JSON.parse(text.slice(start, end + 1)) as string;
  } catch {
    throw new RuntimeError('INVALID_INPUT', 'the text is not JSON: a key is malformed');
  }
}

function noteKey(frame: Frame, key: string): void {
  if (frame.keys?.has(key) === true) {
    throw new RuntimeError(
      'INVALID_INPUT',
      `the key ${JSON.stringify(key).slice(0, 80)} stands twice in one object`,
      {
        field: key.slice(0, 80),
      },
    );
  }
  frame.keys?.add(key);
  frame.expectsKey = false;
}

/**
 * Judges depth and duplicate keys on JSON text in one pass without recursion.
 * It does not decide whether the text is well formed; JSON.parse does that afterwards.
 */
export function scanJsonText(text: string, maxDepth: number): void {
  const frames: Frame[] = [];
  let top: Frame | undefined;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = closingQuote(text, at);
      if (top?.expectsKey === true) noteKey(top, keyAt(text, at, end));
      at = end;
    } else if (code === 0x7b /* { */ || code === 0x5b /* [ */) {
      const isArray = code === 0x5b;
      top = { keys: isArray ? undefined : new Set(), expectsKey: !isArray };
      frames.push(top);
      if (frames.length > maxDepth) {
        throw new RuntimeError('INVALID_INPUT', `the text is nested deeper than ${maxDepth} levels`);
      }
    } else if (code === 0x7d /* } */ || code === 0x5d /* ] */) {
      frames.pop();
      top = frames.at(-1);
    } else if (code === 0x2c /* , */ && top !== undefined) {
      top.expectsKey = top.keys !== undefined;
    }
  }
}

/** Untrusted JSON text → checked value, or INVALID_INPUT saying what and where. */
export function parseJson(text: string, limits: JsonLimits = DEFAULT_JSON_LIMITS): JsonValue {
  if (Buffer.byteLength(text) > limits.maxBytes) {
    throw new RuntimeError('INVALID_INPUT', `the text is larger than ${limits.maxBytes} bytes`);
  }
  scanJsonText(text, limits.maxDepth);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError(
      'INVALID_INPUT',
      `the text is not JSON: ${(cause as Error).message.slice(0, 120)}`,
    );
  }
  return checkJson(value, limits);
}
