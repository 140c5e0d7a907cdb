// Owns the building blocks of the file schemas: closed objects, refused keys, names, and the sentence for each issue.
import { z } from 'zod';
import { isObject } from '../base/json.ts';
import { showCut } from '../base/text.ts';
import type { PathPart, Problems } from './problems.ts';
import { didYouMean } from '../base/suggest.ts';

const KNOWN = 'known keys: ';

/** An object that takes exactly these keys; the answer to another key can name them. */
export function closed<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `${KNOWN}${Object.keys(shape).join(', ')}` : undefined,
  });
}

/** A key of a source system that this version refuses, and why. */
export function refused(why: string): z.ZodOptional<z.ZodNever> {
  return z.never({ error: why }).optional();
}

function text(pattern: RegExp, what: string): z.ZodString {
  return z.string().regex(pattern, { error: `must be ${what}` });
}

/** One line that people read. */
export const label: z.ZodString = text(/^\S(?:[^\r\n]{0,498}\S)?$/, 'one line of at most 500 characters');
export const prose: z.ZodString = z.string().check(z.minLength(1), z.maxLength(4000));
export const toolName: z.ZodString = text(
  /^[A-Za-z0-9][A-Za-z0-9_./:-]{0,96}$/,
  'the name of a capability or a canonical id such as desk:search_docs',
);
export const capabilityName: z.ZodString = text(
  /^[A-Za-z][A-Za-z0-9_-]{0,63}$/,
  'a name: a letter, then letters, digits, _ and -, at most 64',
);
export const serverName: z.ZodString = text(
  /^[a-z][a-z0-9_-]{0,31}$/,
  'a server name: a small letter, then small letters, digits, _ and -, at most 32',
);
export const serverTool: z.ZodString = text(
  /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,63}$/,
  'a tool name: letters, digits, _ . / and -, at most 64',
);
export const plainId: z.ZodString = text(
  /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/,
  'an id: letters, digits and . _ : @ / -, at most 128',
);
export const envName: z.ZodString = text(
  /^[A-Z_][A-Z0-9_]*$/,
  'the name of an environment variable: capitals, digits and _',
);
export const jsonPointer: z.ZodString = text(
  /^(?:\/(?:[^~/]|~[01])+)+$/,
  'a JSON pointer such as /path, with - for every element of a list',
);
export const names: z.ZodArray<z.ZodString> = z.array(plainId).max(100);

/** A semantic version, without build metadata: two builds of one version are no two contracts. */
export const semver: z.ZodString = text(
  /^(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){2}(?:-[0-9A-Za-z.-]{1,64})?$/,
  'a semantic version such as 1.2.0',
);

/** A list of tools as people name them. */
export const toolNames: z.ZodArray<z.ZodString> = z.array(toolName).max(2000);

const WHOLES = new Map<string, z.ZodInt>();

/** Whole number within bounds; one schema for each pair of bounds, made with both at once, since making is what costs. */
export function whole(least: number, most: number): z.ZodInt {
  const key = `${least}..${most}`;
  const made = WHOLES.get(key) ?? z.int().check(z.gte(least), z.lte(most));
  WHOLES.set(key, made);
  return made;
}

/** `principal`, `other`, `role:<name>`; a bare word is a role. */
export const approver: z.ZodString = text(
  /^(?!none$)(?:role:)?[A-Za-z][A-Za-z0-9_-]{0,63}$/,
  'principal, other, or a role such as manager',
);

/** The same, or `none`. */
export const approval: z.ZodString = text(
  /^(?:role:)?[A-Za-z][A-Za-z0-9_-]{0,63}$/,
  'none, principal, other, or a role such as manager',
);

export function approverOf(word: string): string {
  if (word === 'principal' || word === 'other' || word.startsWith('role:')) return word;
  return `role:${word}`;
}

/** What can name an environment variable. */
export const VARIABLE_NAME: RegExp = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One host, `host:port` or origin; no wildcard, path, user or query. */
export function isHost(entry: string): boolean {
  if (entry === '' || /[\s*@\\?#%]/u.test(entry)) return false;
  try {
    const url = new URL(/^https?:\/\//i.test(entry) ? entry : `https://${entry}`);
    return url.pathname === '/' && url.hostname !== '';
  } catch {
    return false;
  }
}

export const host: z.ZodString = z
  .string()
  .max(300)
  .refine(isHost, { error: 'must be one host, host:port or origin; wildcards are not accepted' });

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without its undefined members. */
export function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Present<T>;
}

/** A record without a prototype: looking up `toString` in it finds nothing. */
export function record<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const made = Object.create(null) as Record<string, T>;
  for (const [key, value] of entries) made[key] = value;
  return made;
}

const MISSING = 'is required';
const UNFIT = 'does not fit';
const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return 'a mapping';
  if (typeof value === 'string') return 'text';
  return typeof value === 'boolean' ? 'true or false' : 'a number';
}

function sizeSentence(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const [limit, word] = issue.code === 'too_small' ? [issue.minimum, 'at least'] : [issue.maximum, 'at most'];
  const shown = String(limit);
  if (issue.origin === 'string') {
    return shown === '1' && issue.code === 'too_small'
      ? 'must not be empty'
      : `must have ${word} ${shown} characters`;
  }
  if (issue.origin === 'array' || issue.origin === 'record')
    return `must have ${word} ${shown} ${shown === '1' ? 'entry' : 'entries'}`;
  return issue.inclusive === false
    ? `must be ${issue.code === 'too_small' ? 'more' : 'less'} than ${shown}`
    : `must be ${word} ${shown}`;
}

/** The sentence for an issue whose schema has none of its own. */
function sentence(issue: z.core.$ZodRawIssue): string {
  if (issue.input === undefined) return MISSING;
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'int' && typeof issue.input === 'number') return 'must be a whole number';
      return `must be ${KINDS[issue.expected] ?? issue.expected}, not ${kindOf(issue.input)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
    case 'too_big':
      return sizeSentence(issue as z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig);
    case 'invalid_union': {
      const { options } = issue as { options?: unknown[] };
      return options === undefined ? UNFIT : `must be ${options.map((o) => JSON.stringify(o)).join(' or ')}`;
    }
    case 'invalid_format':
      return `is not a well-formed ${issue.format}`;
    default:
      return UNFIT;
  }
}

/** What is said of a missing key; the rows of the source system's memory have a sentence of their own. */
function missingSentence(path: readonly PathPart[]): string {
  const [root, list, row, key] = path;
  return root === 'memory' && list === 'seed_records' && typeof row === 'number' && typeof key === 'string'
    ? `Memory record #${row + 1} field is required: ${key}`
    : MISSING;
}

/** What is wrong inside of the one option of a union that the value has the kind of; undefined: there is no such one. */
function insideUnion(issue: z.core.$ZodIssue): z.core.$ZodIssue[] | undefined {
  if (issue.code !== 'invalid_union' || issue.message !== UNFIT) return undefined;
  const isOfAnotherKind = ({ path, code }: z.core.$ZodIssue): boolean =>
    path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');
  const [inside, ...others] = issue.errors.filter((found) => !found.some(isOfAnotherKind));
  if (inside === undefined || others.length > 0) return undefined;
  return inside.map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
}

function noteIssue(file: string, issue: z.core.$ZodIssue, problems: Problems): void {
  const path = issue.path as PathPart[];
  const inside = insideUnion(issue);
  if (inside !== undefined) {
    for (const one of inside) noteIssue(file, one, problems);
  } else if (issue.code === 'unrecognized_keys') {
    const known = issue.message.startsWith(KNOWN) ? issue.message.slice(KNOWN.length).split(', ') : [];
    for (const key of issue.keys) {
      problems.add(file, [...path, key], `unknown key "${showCut(key, 80)}"${didYouMean(key, known)}`, 'key');
    }
  } else if (issue.code === 'invalid_key') {
    problems.add(file, path, issue.issues[0]?.message ?? 'is not a valid name', 'key');
  } else if (issue.code === 'invalid_type' && issue.expected === 'never') {
    problems.add(file, path, issue.message, 'key');
  } else {
    problems.add(file, path, issue.message === MISSING ? missingSentence(path) : issue.message);
  }
}

/** The value as the schema reads it, or undefined with every issue noted. */
export function fit<T>(
  file: string,
  schema: z.ZodType<T>,
  value: unknown,
  problems: Problems,
): T | undefined {
  // A file is read once: generating code for its schema would cost more than it saves.
  const result = schema.safeParse(value, { error: sentence, jitless: true });
  if (result.success) return result.data;
  for (const issue of result.error.issues) noteIssue(file, issue, problems);
  return undefined;
}
