// Owns how a change of a tool is shown to the person who has to judge it: one line a leaf, hidden characters visible,
// bounded, with what was left out said.
import { canonicalJson, isObject } from '../base/json.ts';
import type { JsonValue } from '../base/json.ts';
import { showCut } from '../base/text.ts';
import type { LiveTool } from './definitions.ts';

const MAX_LINES = 40;
const MAX_CHARS = 240;

/** Leaves by JSON pointer; an empty container is a leaf. */
function leaves(value: JsonValue): Map<string, string> {
  const out = new Map<string, string>();
  const stack: { path: string; value: JsonValue }[] = [{ path: '', value }];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { path } = item;
    const children: [string, JsonValue][] = Array.isArray(item.value)
      ? item.value.map((child, index) => [String(index), child])
      : isObject(item.value)
        ? Object.entries(item.value)
        : [];
    if (children.length === 0) out.set(path, canonicalJson(item.value));
    for (const [key, child] of children) {
      stack.push({ path: `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, value: child });
    }
  }
  return out;
}

function shown(text: string | undefined): string {
  return showCut(text ?? '', MAX_CHARS);
}

// So much of what stayed is shown on either side of what changed.
const CONTEXT = 40;

/** Where two texts part, and where they meet again, counted from their ends. */
function parted(a: string, b: string): { from: number; end: number } {
  const most = Math.min(a.length, b.length);
  let from = 0;
  while (from < most && a[from] === b[from]) from++;
  let end = 0;
  while (end < most - from && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return { from, end };
}

/** Both texts where they differ: a change far behind the beginning must not look like none. */
function differing(was: string, is: string): string {
  if (was.length <= MAX_CHARS && is.length <= MAX_CHARS) return `${shown(was)} → ${shown(is)}`;
  const { from, end } = parted(was, is);
  const part = (text: string): string => {
    const [start, stop] = [Math.max(0, from - CONTEXT), Math.min(text.length, text.length - end + CONTEXT)];
    const middle = text.slice(start, stop);
    return `${start > 0 ? '…' : ''}${shown(middle)}${stop < text.length ? '…' : ''}`;
  };
  return `${part(was)} → ${part(is)}`;
}

/** `/description: "old" → "new"`; the empty list for equal definitions. */
export function diffDefinitions(before: LiveTool, after: LiveTool): string[] {
  const old = leaves(before as unknown as JsonValue);
  const now = leaves(after as unknown as JsonValue);
  const lines: string[] = [];
  for (const path of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const was = old.get(path);
    const is = now.get(path);
    if (was === is) continue;
    const where = showCut(path, MAX_CHARS);
    if (was === undefined) lines.push(`${where}: added ${shown(is)}`);
    else if (is === undefined) lines.push(`${where}: removed ${shown(was)}`);
    else lines.push(`${where}: ${differing(was, is)}`);
  }
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `(${lines.length - MAX_LINES} more changes)`];
}
