// Owns changes to a host's JSON text that leave every other character, comments included, as it was.
import type { JsonNode, JsonObjectNode } from './json-text.ts';

export interface Splice {
  start: number;
  end: number;
  text: string;
}

/** Splices do not overlap; two at one place stand in the order given. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  let made = '';
  let at = 0;
  for (const one of splices.toSorted((a, b) => a.start - b.start)) {
    made += text.slice(at, one.start) + one.text;
    at = one.end;
  }
  return made + text.slice(at);
}

interface Manner {
  newline: string;
  unit: string;
}

function mannerOf(text: string): Manner {
  const unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
  return { newline: text.includes('\r\n') ? '\r\n' : '\n', unit };
}

function lineIndent(text: string, at: number): string {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  return /^[ \t]*/.exec(text.slice(lineStart))?.[0] ?? '';
}

/** The blanks before `at` on its line, if nothing else stands there. */
function ownLineIndent(text: string, at: number): string | undefined {
  const before = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
  return at > 0 && text.lastIndexOf('\n', at - 1) >= 0 && /^[ \t]*$/.test(before) ? before : undefined;
}

function written(value: unknown, indent: string, { newline, unit }: Manner): string {
  return JSON.stringify(value, null, unit).replaceAll('\n', `${newline}${indent}`);
}

/** Adds a member at the end of an object. */
export function addMember(text: string, node: JsonObjectNode, key: string, value: unknown): Splice[] {
  const manner = mannerOf(text);
  const outer = lineIndent(text, node.start);
  const [first] = node.members;
  const indent =
    (first === undefined ? undefined : ownLineIndent(text, first.keyStart)) ?? `${outer}${manner.unit}`;
  const body = `${manner.newline}${indent}${JSON.stringify(key)}: ${written(value, indent, manner)}`;
  const last = node.members.at(-1)?.value;
  if (last === undefined && node.contentEnd === node.start + 1) {
    return [{ start: node.start + 1, end: node.end - 1, text: `${body}${manner.newline}${outer}` }];
  }
  const isOneLine = !text.slice(node.contentEnd, node.end).includes('\n');
  const closing = isOneLine ? `${manner.newline}${outer}` : '';
  // The comma stands right behind the last value, so that a comment beside that value stays beside it.
  const comma =
    last === undefined || node.comma ? [] : [{ start: last.end, end: last.end, text: ',' } satisfies Splice];
  return [
    ...comma,
    { start: node.contentEnd, end: isOneLine ? node.end - 1 : node.contentEnd, text: `${body}${closing}` },
  ];
}

/** Puts items before those of an array. */
export function prependItems(
  text: string,
  node: Extract<JsonNode, { kind: 'array' }>,
  items: readonly string[],
): Splice {
  const words = items.map((item) => JSON.stringify(item));
  const [first] = node.items;
  if (first === undefined) return { start: node.start + 1, end: node.start + 1, text: words.join(', ') };
  const indent = ownLineIndent(text, first.start);
  const between = indent === undefined ? ', ' : `,${mannerOf(text).newline}${indent}`;
  return { start: first.start, end: first.start, text: words.map((word) => `${word}${between}`).join('') };
}

export function replaceNode(node: JsonNode, value: string): Splice {
  return { start: node.start, end: node.end, text: JSON.stringify(value) };
}
