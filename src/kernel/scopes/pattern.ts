// Owns path patterns: literal segments, `*` within a segment, `**` for any number of segments, over absolute paths.
// What else a glob language may mean (`?`, `[a]`, `{a,b}`, `!`) is refused, because it would be read in two ways.
import { RuntimeError } from '../../base/errors.ts';

export interface PathPattern {
  /** Absolute and canonical. */
  readonly text: string;
  /** `**`, or a literal, or a literal with `*` in it. */
  readonly segments: readonly string[];
}

const MAX_PATTERN_LENGTH = 1024;
const MAX_SEGMENTS = 64;
// A product of more states than this is no scope a person wrote; it is taken as empty, which denies.
const MAX_STATES = 50_000;
// eslint-disable-next-line no-control-regex -- control characters are what is refused here
const REFUSED = /[\u0000-\u001f\u007f\\?[\]{}!&]/;

function refuse(text: string, why: string): never {
  throw new RuntimeError(
    'CONFIGURATION_ERROR',
    `scope pattern ${JSON.stringify(text.slice(0, 200))}: ${why}`,
    {
      field: 'pattern',
      pattern: text.slice(0, 200),
    },
  );
}

/** Segments of a real absolute path; drive letters and backslashes of Windows are understood. */
export function pathSegments(path: string): string[] {
  const plain = /^[a-z]:[\\/]/i.test(path) || path.startsWith('\\\\') ? path.replaceAll('\\', '/') : path;
  return plain.split('/').filter((segment) => segment !== '');
}

/** An absolute pattern; `{sandbox}/x`, and any relative `x`, lie beneath `root`. Throws CONFIGURATION_ERROR. */
export function parsePattern(text: string, root: string): PathPattern {
  if (text.length === 0 || text.length > MAX_PATTERN_LENGTH) refuse(text, 'is empty or too long');
  const relative = text === '{sandbox}' ? '' : text.startsWith('{sandbox}/') ? text.slice(10) : undefined;
  const body = relative ?? text;
  if (REFUSED.test(body)) refuse(text, 'only literal names, `*` and `**` are understood');
  const isAbsolute = relative === undefined && (body.startsWith('/') || /^[a-z]:\//i.test(body));
  const own = body.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (own.includes('..')) refuse(text, 'must not hold `..`');
  if (own.some((segment) => segment !== '**' && segment.includes('**'))) {
    refuse(text, '`**` stands for whole segments only');
  }
  const all = isAbsolute ? own : [...pathSegments(root), ...own];
  const segments = all.filter((segment, at) => segment !== '**' || all[at - 1] !== '**');
  if (segments.length > MAX_SEGMENTS) refuse(text, `has more than ${MAX_SEGMENTS} segments`);
  return { text: `/${segments.join('/')}`, segments };
}

/**
 * Matches a list of symbols against a list in which some entries are stars. The last star is the only one that
 * ever needs to be tried again, so the cost is at most the product of the lengths.
 */
function matchesList(
  pattern: readonly string[],
  subject: readonly string[],
  star: string,
  meets: (expected: string, actual: string) => boolean,
): boolean {
  let at = 0;
  let lastStar = -1;
  let resume = 0;
  for (let next = 0; next < subject.length;) {
    const expected = pattern[at];
    if (expected === star) {
      lastStar = at++;
      resume = next;
    } else if (expected !== undefined && meets(expected, subject[next] ?? '')) {
      at++;
      next++;
    } else if (lastStar >= 0) {
      at = lastStar + 1;
      next = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === star) at++;
  return at === pattern.length;
}

const chars = (text: string): string[] => Array.from(text);
const same = (a: string, b: string): boolean => a === b;

/** Whether one segment pattern (literal with `*`) takes a name. */
export function matchesSegment(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  return pattern.includes('*') ? matchesList(chars(pattern), chars(name), '*', same) : pattern === name;
}

export function matchesPattern(pattern: PathPattern, segments: readonly string[]): boolean {
  return matchesList(pattern.segments, segments, '**', matchesSegment);
}

/** Whether some list of symbols is taken by every one of the patterns: a search in the product of their positions. */
function meetAll(
  patterns: readonly (readonly string[])[],
  star: string,
  canMeet: (expected: readonly string[]) => boolean,
): boolean {
  const seen = new Set<string>();
  const stack: number[][] = [patterns.map(() => 0)];
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    const key = state.join();
    if (seen.has(key)) continue;
    if (seen.size >= MAX_STATES) return false;
    seen.add(key);
    const here = state;
    const expected = patterns.map((pattern, index) => pattern[here[index] ?? 0]);
    if (expected.every((entry) => entry === undefined)) return true;
    expected.forEach((entry, index) => {
      if (entry === star) stack.push(here.map((at, other) => (other === index ? at + 1 : at)));
    });
    if (expected.includes(undefined)) continue;
    const fixed = expected.filter((entry) => entry !== undefined && entry !== star) as string[];
    // Every pattern at a star would consume forever; skipping a star reaches the same.
    if (fixed.length > 0 && canMeet(fixed)) {
      stack.push(here.map((at, index) => (expected[index] === star ? at : at + 1)));
    }
  }
  return false;
}

function segmentsMeet(expected: readonly string[]): boolean {
  const literal = expected.find((segment) => !segment.includes('*'));
  if (literal !== undefined) return expected.every((segment) => matchesSegment(segment, literal));
  return meetAll(expected.map(chars), '*', (met) => met.every((char) => char === met[0]));
}

/** Whether one path exists that every pattern takes. Exact up to a bound on the search, beyond which it says no. */
export function patternsMeet(patterns: readonly PathPattern[]): boolean {
  return meetAll(
    patterns.map((pattern) => pattern.segments),
    '**',
    segmentsMeet,
  );
}

/** Whether `wide` surely takes every path that `narrow` takes; false when not obvious. */
export function patternCovers(wide: PathPattern, narrow: PathPattern): boolean {
  if (wide.text === narrow.text) return true;
  const last = wide.segments.length - 1;
  if (wide.segments[last] !== '**') return false;
  for (let at = 0; at < last; at++) {
    const segment = wide.segments[at] ?? '';
    if (segment.includes('*') || narrow.segments[at] !== segment) return false;
  }
  return true;
}
