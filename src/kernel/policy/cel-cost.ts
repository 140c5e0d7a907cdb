// Owns the bound on what one CEL expression may cost: what is refused when it is compiled, and how large the
// arguments may be when it is evaluated. Comprehensions are the only loops CEL has, so their nesting is the exponent.
import type { ASTNode } from '@marcbachmann/cel-js';
import type { JsonValue } from '../../base/json.ts';

export const CEL_LIMITS = {
  maxAstNodes: 400,
  maxDepth: 48,
  maxListElements: 256,
  maxMapEntries: 64,
  maxCallArguments: 8,
} as const;
export const MAX_EXPRESSION_LENGTH = 4000;
/** Steps of one evaluation; about a second at the very worst, a millisecond in any honest one. */
const MAX_STEPS = 2_000_000;
const MAX_NESTING = 3;

const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
// matches: a regular expression can take exponential time. bind, json: build values of unbounded size.
const FORBIDDEN: ReadonlySet<string> = new Set(['matches', 'bind', 'json']);
const SPLITTING: ReadonlySet<string> = new Set(['split', 'bytes']);
const SCANNING: ReadonlySet<string> = new Set([
  'contains',
  'indexOf',
  'lastIndexOf',
  'join',
  'string',
  'split',
]);

export interface CelShape {
  /** Depth of nested comprehensions. */
  nesting: number;
  /** A comprehension body does work that grows with the size of a value (`in`, `contains`, `==` of two values). */
  scans: boolean;
  /** Strings can become lists. */
  splits: boolean;
  /** It names the session's past. */
  looksBack: boolean;
  /** Set when the expression is refused. */
  refused?: { why: string; at: number };
}

interface Visit {
  node: ASTNode;
  inLoop: number;
}

function nodesIn(args: unknown): ASTNode[] {
  if (!Array.isArray(args)) return isNode(args) ? [args] : [];
  return args.flatMap((entry: unknown) =>
    Array.isArray(entry) ? nodesIn(entry) : isNode(entry) ? [entry] : [],
  );
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

function callName(node: ASTNode): string | undefined {
  return node.op === 'call' || node.op === 'rcall' ? node.args[0] : undefined;
}

function isScan(node: ASTNode): boolean {
  if (node.op === 'in') return node.args[1].op !== 'list';
  if (node.op === '==' || node.op === '!=') return node.args[0].op !== 'value' && node.args[1].op !== 'value';
  return node.op === '+' || SCANNING.has(callName(node) ?? '');
}

function isPast(node: ASTNode): boolean {
  return node.op === 'id' && node.args === 'past';
}

/** Judges the form of a parsed expression, before anything is evaluated. */
export function celShape(root: ASTNode): CelShape {
  const shape: CelShape = { nesting: 0, scans: false, splits: false, looksBack: false };
  const stack: Visit[] = [{ node: root, inLoop: 0 }];
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { node, inLoop } = visit;
    const name = callName(node) ?? '';
    if (FORBIDDEN.has(name)) {
      shape.refused ??= { why: `\`${name}\` is not allowed here: its cost has no bound`, at: node.start };
    }
    shape.looksBack ||= isPast(node);
    shape.splits ||= SPLITTING.has(name);
    if (inLoop > 0 && isScan(node)) shape.scans = true;
    const isLoop = node.op === 'rcall' && LOOPS.has(node.args[0]);
    const depth = isLoop ? inLoop + 1 : inLoop;
    shape.nesting = Math.max(shape.nesting, depth);
    if (depth > MAX_NESTING) {
      shape.refused ??= { why: `comprehensions are nested deeper than ${MAX_NESTING}`, at: node.start };
    }
    for (const child of nodesIn(node.args)) stack.push({ node: child, inLoop: depth });
  }
  return shape;
}

interface Extent {
  longestList: number;
  longestString: number;
  total: number;
}

function extent(value: JsonValue): Extent {
  const out: Extent = { longestList: 1, longestString: 1, total: 1 };
  const stack: JsonValue[] = [value];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    out.total += 1;
    if (typeof item === 'string') {
      out.longestString = Math.max(out.longestString, item.length);
      out.total += item.length >> 4;
    } else if (typeof item === 'object' && item !== null) {
      const children = Array.isArray(item) ? item : Object.values(item);
      out.longestList = Math.max(out.longestList, children.length);
      for (const child of children) stack.push(child);
    }
  }
  return out;
}

/** Whether an expression of this shape is sure to end soon on these arguments. */
export function isAffordable(shape: CelShape, args: JsonValue): boolean {
  if (shape.nesting === 0) return true;
  const size = extent(args);
  const longest = shape.splits ? Math.max(size.longestList, size.longestString) : size.longestList;
  const steps = longest ** shape.nesting * (shape.scans ? size.total : 1);
  return steps <= MAX_STEPS;
}
