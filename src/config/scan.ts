// Owns the judgement of YAML text before it is parsed: size, characters and nesting. The parser recurses, and on some
// Node versions deep input ends the process in a way that cannot be caught; so nothing deep ever reaches it.
import type { Lexer } from 'yaml';
import type { Place } from './problems.ts';

export const MAX_YAML_BYTES: number = 256 * 1024;
export const MAX_YAML_DEPTH = 48;
// One level of block nesting takes at least one column, two for a sequence in a sequence.
const MAX_INDENT = 128;
// The lexer's own mark that the next token is text of a scalar.
const SCALAR_MARK = '\u001f';

// What the lexer adds; none of it stands in text that passed DECEPTIVE.
const LEXER_MARKS: ReadonlySet<string> = new Set(['\u0002', '\u0018', SCALAR_MARK]);

export interface ScanFinding {
  place: Place;
  message: string;
}

// Controls; marks that reorder text for a reader (bidirectional) or hide it (tags); what begins a line to some readers
// only, so that a comment would end there or not.
const DECEPTIVE =
  // eslint-disable-next-line no-control-regex -- exactly these must not stand in a configuration
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)|[\u{e0000}-\u{e007f}]/u;

function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - (before.lastIndexOf('\n') + 1) + 1 };
}

function tooIndented(text: string): ScanFinding | undefined {
  const deep = new RegExp(`^[ \\t?:-]{${MAX_INDENT}}`, 'm').exec(text);
  if (deep === null) return undefined;
  return {
    place: placeAt(text, deep.index),
    message: `is nested deeper than ${MAX_YAML_DEPTH} levels or indented by more than ${MAX_INDENT} columns`,
  };
}

function tooDeep(text: string, lexer: Lexer): ScanFinding | undefined {
  let depth = 0;
  let offset = 0;
  let isScalar = false;
  for (const token of lexer.lex(text)) {
    if (!isScalar && (token === '[' || token === '{')) {
      depth++;
      if (depth > MAX_YAML_DEPTH) {
        return { place: placeAt(text, offset), message: `is nested deeper than ${MAX_YAML_DEPTH} levels` };
      }
    } else if (!isScalar && (token === ']' || token === '}')) {
      depth--;
    }
    isScalar = token === SCALAR_MARK;
    if (!LEXER_MARKS.has(token)) offset += token.length;
  }
  return undefined;
}

/** The first reason not to parse this text, or undefined. Linear in its length; never recurses. */
export function scanYaml(text: string, makeLexer: () => Lexer): ScanFinding | undefined {
  if (Buffer.byteLength(text) > MAX_YAML_BYTES) {
    return { place: { line: 1, column: 1 }, message: `is larger than ${MAX_YAML_BYTES} bytes` };
  }
  const odd = DECEPTIVE.exec(text);
  if (odd !== null) {
    const code = (odd[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return {
      place: placeAt(text, odd.index),
      message: `holds the invisible or control character U+${code}; write it as an escape in double quotes`,
    };
  }
  return tooIndented(text) ?? tooDeep(text, makeLexer());
}
