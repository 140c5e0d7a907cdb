// Owns which regular expressions of foreign schemas may run, and on how long a text. V8 backtracks: nested or
// alternating repetition takes exponential time and is refused; n repetitions in a row take a power of the length,
// so the text they may see is kept short enough.

export type RegexVerdict = { refused: string } | { maxLength: number };

const MAX_PATTERN_LENGTH = 1000;
/** Steps of one test; some 50 ms. */
const MAX_STEPS = 20_000_000;
const LONGEST_TEXT = 1024 * 1024;
const SHORTEST_USEFUL = 24;

interface Quantifier {
  min: number;
  max: number;
  end: number;
}

interface Group {
  start: number;
  /** Sources of the atoms in it, to tell whether a leading literal separates its rounds. */
  atoms: string[];
  lead: string | undefined;
  alternates: boolean;
  /** Something inside can match at more than one length. */
  varies: boolean;
  nests: boolean;
}

interface Scan {
  source: string;
  at: number;
  groups: Group[];
  unbounded: number;
  choices: number;
}

const group = (start: number): Group => {
  return { start, atoms: [], lead: undefined, alternates: false, varies: false, nests: false };
};

function quantifierAt(source: string, at: number): Quantifier | undefined {
  const match = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(source.slice(at, at + 24));
  if (match === null) return undefined;
  const [text, low, comma, high] = match;
  const end = at + text.length;
  if (low === undefined) {
    const first = text.charAt(0);
    return { min: first === '+' ? 1 : 0, max: first === '?' ? 1 : Infinity, end };
  }
  const min = Number(low);
  return { min, max: comma === '' ? min : high === '' ? Infinity : Number(high), end };
}

/** End of the class that opens at `at`. */
function classEnd(source: string, at: number): number {
  for (let next = at + 1; next < source.length; next++) {
    if (source[next] === '\\') next++;
    else if (source[next] === ']') return next + 1;
  }
  return source.length;
}

/** Length of an escape, or why it is refused. */
function escapeEnd(source: string, at: number): number | string {
  const next = source[at + 1] ?? '';
  if (/[1-9k]/.test(next)) return 'it refers back to a group';
  const braced = /^\\(?:[pP]|u)\{[^}]*\}/.exec(source.slice(at, at + 40));
  if (braced !== null) return at + braced[0].length;
  return at + (next === 'u' ? 6 : next === 'x' ? 4 : next === 'c' ? 3 : 2);
}

/** Whether one round of the group can only begin where the character `lead` stands, and no other atom takes it. */
function isSeparated({ atoms, lead }: Group): boolean {
  if (lead === undefined) return false;
  const literal = lead.startsWith('\\') ? lead.slice(1) : lead;
  return atoms.slice(1).every((atom) => {
    try {
      return !new RegExp(`^(?:${atom})$`, 'u').test(literal);
    } catch {
      return false;
    }
  });
}

/** Repeating a group is linear when it always has one form, or when each round begins where no other atom can be. */
function isRepeatable(closed: Group): boolean {
  if (closed.alternates) return false;
  return closed.nests ? !closed.varies : !closed.varies || isSeparated(closed);
}

/** Counts a quantifier on the atom or group before it; a sentence when it is refused. */
function applyQuantifier(
  scan: Scan,
  { min, max }: Quantifier,
  closed: Group | undefined,
): string | undefined {
  if (max !== Infinity && max > 1000) return 'it repeats more than 1,000 times';
  if (closed !== undefined && max > 1 && !isRepeatable(closed)) {
    return 'it repeats something that itself repeats or alternates';
  }
  if (max === Infinity || max > 32) scan.unbounded += 1;
  else if (max !== min) scan.choices *= max - min + 1;
  const parent = scan.groups.at(-1);
  if (parent !== undefined && max !== min) parent.varies = true;
  return undefined;
}

/** Takes `(` with what follows it; a sentence when it is refused. */
function openGroup(scan: Scan): string | undefined {
  const { source, at } = scan;
  if (source[at + 1] !== '?') {
    scan.at = at + 1;
  } else if (source[at + 2] === ':') {
    scan.at = at + 3;
  } else if (/^\(\?<[A-Za-z_]\w*>/.test(source.slice(at, at + 40))) {
    scan.at = source.indexOf('>', at) + 1;
  } else {
    return 'it looks ahead or behind';
  }
  const parent = scan.groups.at(-1);
  if (parent !== undefined) {
    parent.nests = true;
    parent.atoms.push('.');
  }
  scan.groups.push(group(at));
  return undefined;
}

function noteAtom(scan: Scan, source: string, isLiteral: boolean): void {
  const current = scan.groups.at(-1);
  if (current === undefined) return;
  const isOnce = quantifierAt(scan.source, scan.at) === undefined;
  if (current.atoms.length === 0 && isLiteral && isOnce) current.lead = source;
  current.atoms.push(source);
}

function closeGroup(scan: Scan): { refused: string } | { closed: Group } {
  const closed = scan.groups.pop();
  const parent = scan.groups.at(-1);
  scan.at += 1;
  if (closed === undefined || parent === undefined) return { refused: 'its brackets do not match' };
  if (closed.varies) parent.varies = true;
  if (closed.alternates) parent.alternates = true;
  return { closed };
}

function takePlain(scan: Scan, char: string): string | undefined {
  const { source, at } = scan;
  const end = char === '\\' ? escapeEnd(source, at) : char === '[' ? classEnd(source, at) : at + 1;
  if (typeof end === 'string') return end;
  scan.at = end;
  const text = source.slice(at, end);
  const isLiteral = char === '\\' ? /^\\[^a-zA-Z0-9]$/.test(text) : !'[.^$'.includes(char);
  if (char !== '^' && char !== '$') noteAtom(scan, text, isLiteral);
  return undefined;
}

/** One atom at the cursor; a sentence when it is refused. Anchors and `|` are no atoms. */
function takeAtom(scan: Scan): { refused: string } | { closed?: Group } {
  const char = scan.source[scan.at] ?? '';
  if (char === ')') return closeGroup(scan);
  if (char === '|') {
    const current = scan.groups.at(-1);
    if (current !== undefined) current.alternates = true;
    scan.choices *= scan.groups.length > 1 ? 2 : 1;
    scan.at += 1;
    return {};
  }
  const refused = char === '(' ? openGroup(scan) : takePlain(scan, char);
  return refused === undefined ? {} : { refused };
}

/** Judges one pattern without running it. */
export function judgeRegex(source: string): RegexVerdict {
  if (source.length > MAX_PATTERN_LENGTH)
    return { refused: `it is longer than ${MAX_PATTERN_LENGTH} characters` };
  try {
    new RegExp(source, 'u');
  } catch {
    return { refused: 'it is no regular expression' };
  }
  const scan: Scan = { source, at: 0, groups: [group(0)], unbounded: 0, choices: 1 };
  while (scan.at < source.length) {
    const taken = takeAtom(scan);
    if ('refused' in taken) return taken;
    const quantifier = quantifierAt(source, scan.at);
    if (quantifier === undefined || source[scan.at - 1] === '(') continue;
    const refused = applyQuantifier(scan, quantifier, taken.closed);
    if (refused !== undefined) return { refused };
    scan.at = quantifier.end;
  }
  // An alternative at the top may be unanchored even if the pattern begins with `^`.
  const isAnchored = source.startsWith('^') && scan.groups[0]?.alternates !== true;
  const power = scan.unbounded + (isAnchored ? 0 : 1);
  const steps = MAX_STEPS / scan.choices;
  const maxLength = Math.min(LONGEST_TEXT, Math.floor(power <= 1 ? steps : steps ** (1 / power)));
  return maxLength < SHORTEST_USEFUL ? { refused: 'it could take too long on a short text' } : { maxLength };
}
