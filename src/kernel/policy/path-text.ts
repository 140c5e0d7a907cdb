// Owns what a text says of itself as a path: how one may be written, and whether it could be one where nothing says so.
import { sep } from 'node:path';
import { showHidden } from '../../base/text.ts';

const MAX_PATH_BYTES = 4096;
const MAX_NAME_BYTES = 255;
const LEAVES_AT_ONCE = /^(?:[\\/~]|[a-z]:[\\/]|file:)/i;
const LINE_END = /[\r\n\u2028\u2029]/;
const PLAIN_WORD = /^[\w-]*$/;

/** Why a text can be no path that is judged by how it is written. */
export function misspelt(given: string): string | undefined {
  if (given === '') return 'is empty';
  if (given.includes('\0')) return 'holds a NUL byte';
  if (showHidden(given) !== given || /[\t\n]/.test(given)) return 'holds control or invisible characters';
  if (!given.isWellFormed()) return 'holds a lone surrogate';
  if (given.startsWith('~')) return 'begins with `~`, which programs read in different ways';
  if (/^[a-z][a-z0-9+.-]+:/i.test(given)) return 'begins with a scheme';
  if (Buffer.byteLength(given) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`;
  if (given.split(/[\\/]/).some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES)) {
    return `has a name of more than ${MAX_NAME_BYTES} bytes`;
  }
  if (sep === '/' && given.includes('\\')) return 'holds a backslash';
  return undefined;
}

/** By its segments alone; what is not there yet has no links. */
function climbsOut(text: string): boolean {
  let depth = 0;
  for (const name of text.split(/[\\/]/)) {
    if (name === '..') depth -= 1;
    else if (name !== '' && name !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}

function leadsAway(text: string): boolean {
  const said = text.trim();
  const [first = ''] = said.split(LINE_END, 1);
  // Of a text of several lines, a first one with spaces is prose or a program: `// as it is`.
  const isProse = first !== said && /\s/.test(first);
  return (!isProse && LEAVES_AT_ONCE.test(said)) || climbsOut(said);
}

/**
 * Where a text would lead if it were a path; undefined: it is none. For what stands beneath a path's name without having
 * one of its own: much of that is a title, a type or a date.
 */
export function guessOf(text: string): 'away' | 'within' | undefined {
  if (leadsAway(text)) return 'away';
  return PLAIN_WORD.test(text) || misspelt(text) !== undefined ? undefined : 'within';
}
