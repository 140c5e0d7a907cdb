// Owns the conditions that need no interpreter: comparisons of one named value with a literal, and what `&&`, `||` and `!`
// make of them. Most rules are such conditions, and every call asks each rule of its tool.
//
// C1: a plain test answers only what the interpreter would answer. A value that is missing or of another kind than the
// literal has no plain answer, and the interpreter is asked, which also words the error.
import type { ASTNode } from '@marcbachmann/cel-js';
import type { JsonValue } from '../../base/json.ts';
import type { CelInput } from './cel.ts';

/** undefined: ask the interpreter. */
export type PlainTest = (input: CelInput) => boolean | undefined;

type Read = (input: CelInput) => unknown;
type Literal = string | bigint | number | boolean;

const MISLEADING: ReadonlySet<string> = new Set(['__proto__', 'constructor']);

/**
 * Whether arguments become CEL values without more ado: every number is one, and no key changes what its map is taken
 * for. Others are the interpreter's, whatever a rule asks of them. Checked JSON is at most 64 deep.
 */
export function isOrdinary(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isOrdinary);
  for (const key of Object.keys(value)) {
    if (MISLEADING.has(key) || !isOrdinary(value[key] ?? null)) return false;
  }
  return true;
}

function fieldOf(map: unknown, name: string): unknown {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return undefined;
  return Object.hasOwn(map, name) ? (map as Record<string, unknown>)[name] : undefined;
}

// The fields of these are typed, and the expression has been checked against the types.
const TYPED: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['identity', (input) => input.identity],
  ['session', (input) => input.session],
  ['tool', (input) => input.tool],
  ['history', (input) => input.history],
]);

/** `args.to`, `args["to"].host`, `identity.principal`: a root, and the fields that lead from it. */
function pathOf(node: ASTNode): { root: string; fields: string[] } | undefined {
  const fields: string[] = [];
  let at = node;
  for (;;) {
    if (at.op === 'id') return { root: at.args, fields };
    if (at.op !== '.' && at.op !== '[]') return undefined;
    const [of, key] = at.args;
    const name = typeof key === 'string' ? key : key.op === 'value' ? key.args : undefined;
    if (typeof name !== 'string') return undefined;
    fields.unshift(name);
    at = of;
  }
}

function readOf(node: ASTNode): { read: Read; isArgument: boolean } | undefined {
  const path = pathOf(node);
  const [first, ...rest] = path?.fields ?? [];
  if (path === undefined || first === undefined) return undefined;
  if (path.root === 'args') {
    const read: Read =
      rest.length === 0
        ? (input) => fieldOf(input.rawArgs, first)
        : (input) => rest.reduce(fieldOf, fieldOf(input.rawArgs, first));
    return { read, isArgument: true };
  }
  const root = TYPED.get(path.root);
  if (root === undefined || rest.length > 0) return undefined;
  return { read: (input) => (root(input) as Record<string, unknown>)[first], isArgument: false };
}

function literalOf(node: ASTNode): Literal | undefined {
  if (node.op !== 'value') return undefined;
  const { args } = node;
  const isPlain =
    typeof args === 'string' ||
    typeof args === 'bigint' ||
    typeof args === 'number' ||
    typeof args === 'boolean';
  return isPlain ? args : undefined;
}

/** Both sides are of one kind, so there is one meaning. */
const COMPARE: Readonly<Record<string, (literal: Literal) => (value: Literal) => boolean>> = {
  '==': (literal) => (value) => value === literal,
  '!=': (literal) => (value) => value !== literal,
  '<': (literal) => (value) => value < literal,
  '<=': (literal) => (value) => value <= literal,
  '>': (literal) => (value) => value > literal,
  '>=': (literal) => (value) => value >= literal,
};

/** Whether a JSON number is of the kind of a literal: a safe integer is an int in CEL, any other number a double. */
function fitsNumber(isInt: boolean): (value: unknown) => boolean {
  return isInt
    ? (value) => Number.isSafeInteger(value)
    : (value) => typeof value === 'number' && !Number.isSafeInteger(value);
}

function comparison(op: string, left: ASTNode, right: ASTNode): PlainTest | undefined {
  const compare = COMPARE[op];
  const found = readOf(left);
  const literal = literalOf(right);
  if (compare === undefined || found === undefined || literal === undefined) return undefined;
  const { read, isArgument } = found;
  const kind = typeof literal;
  const isNumeric = kind === 'bigint' || kind === 'number';
  if (op !== '==' && op !== '!=' && !isNumeric) return undefined;
  let holds = compare(literal);
  let fits = (value: unknown): boolean => typeof value === kind;
  if (isArgument && isNumeric) {
    const plain = Number(literal);
    if (kind === 'bigint' && !Number.isSafeInteger(plain)) return undefined;
    holds = compare(plain);
    fits = fitsNumber(kind === 'bigint');
  }
  return (input) => {
    const value = read(input);
    return fits(value) ? holds(value as Literal) : undefined;
  };
}

const IN_TEXT: Readonly<Record<string, (part: string) => (text: string) => boolean>> = {
  startsWith: (part) => (text) => text.startsWith(part),
  endsWith: (part) => (text) => text.endsWith(part),
  contains: (part) => (text) => text.includes(part),
};

function textTest(name: string, receiver: ASTNode, args: readonly ASTNode[]): PlainTest | undefined {
  const read = readOf(receiver)?.read;
  const [only, more] = args;
  const part = only === undefined || more !== undefined ? undefined : literalOf(only);
  const test = IN_TEXT[name];
  if (read === undefined || typeof part !== 'string' || test === undefined) return undefined;
  const holds = test(part);
  return (input) => {
    const value = read(input);
    return typeof value === 'string' ? holds(value) : undefined;
  };
}

/** `args.to in ["a", "b"]`, texts only. */
function membership(left: ASTNode, right: ASTNode): PlainTest | undefined {
  const read = readOf(left)?.read;
  if (read === undefined || right.op !== 'list' || right.args.length === 0) return undefined;
  const members = right.args.map(literalOf);
  if (!members.every((member) => typeof member === 'string')) return undefined;
  const known: ReadonlySet<unknown> = new Set(members);
  return (input) => {
    const value = read(input);
    return typeof value === 'string' ? known.has(value) : undefined;
  };
}

/** `has(args.to)` */
function presence(args: readonly ASTNode[]): PlainTest | undefined {
  const path = args[0] === undefined ? undefined : pathOf(args[0]);
  const [name, more] = path?.fields ?? [];
  if (path?.root !== 'args' || name === undefined || more !== undefined) return undefined;
  return ({ rawArgs }) => Object.hasOwn(rawArgs, name);
}

function logical(op: '&&' | '||', sides: readonly [ASTNode, ASTNode]): PlainTest | undefined {
  const left = plainTest(sides[0]);
  const right = left === undefined ? undefined : plainTest(sides[1]);
  if (left === undefined || right === undefined) return undefined;
  const ends = op === '||';
  return (input) => {
    const first = left(input);
    return first === undefined || first === ends ? first : right(input);
  };
}

/**
 * The expression as a plain test; undefined where it is more than that. The expression must have been checked, and the
 * arguments be ordinary.
 */
export function plainTest(node: ASTNode): PlainTest | undefined {
  switch (node.op) {
    case '&&':
    case '||':
      return logical(node.op, node.args);
    case '!_': {
      const test = plainTest(node.args);
      if (test === undefined) return undefined;
      return (input) => {
        const answer = test(input);
        return answer === undefined ? undefined : !answer;
      };
    }
    case 'rcall':
      return textTest(...node.args);
    case 'call':
      return node.args[0] === 'has' ? presence(node.args[1]) : undefined;
    case 'in':
      return membership(...node.args);
    case '.':
    case '[]': {
      const read = readOf(node)?.read;
      if (read === undefined) return undefined;
      return (input) => {
        const value = read(input);
        return typeof value === 'boolean' ? value : undefined;
      };
    }
    default:
      return COMPARE[node.op] === undefined
        ? undefined
        : comparison(node.op, ...(node.args as [ASTNode, ASTNode]));
  }
}
