// Owns the CEL of a workflow: `when` of a node and `until` of a loop, compiled once, bounded in cost, and total when it
// is evaluated. An expression sees only nodes that have ended before it is asked, so its answer depends on no race.
import { Environment } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { CEL_LIMITS, celShape, isAffordable } from '../../kernel/policy/cel-cost.ts';

/** The variables of one evaluation; `output` and `iteration` only in `until`. */
export interface ConditionInput {
  inputs: JsonObject;
  nodes: JsonObject;
  output?: JsonObject;
  iteration?: number;
}

export type ConditionAnswer = boolean | { problem: string };
export interface Condition {
  evaluate(input: ConditionInput): ConditionAnswer;
  /** Nodes that the expression names. */
  readonly names: readonly string[];
}
export type CompiledCondition = { ok: true; condition: Condition } | { ok: false; why: string };

type CelValue = null | boolean | number | bigint | string | CelValue[] | { [key: string]: CelValue };

// Checked JSON is at most 64 deep, so this recursion is bounded.
function celValue(value: JsonValue): CelValue {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, celValue(one)]));
}

function createEnvironment(kind: 'when' | 'until'): Environment {
  const environment = new Environment({ limits: CEL_LIMITS })
    .registerVariable('inputs', 'map<string, dyn>')
    .registerVariable('nodes', 'map<string, dyn>');
  if (kind === 'when') return environment;
  return environment.registerVariable('output', 'map<string, dyn>').registerVariable('iteration', 'int');
}

const environments = new Map<string, Environment>();

function environmentOf(kind: 'when' | 'until'): Environment {
  const known = environments.get(kind) ?? createEnvironment(kind);
  environments.set(kind, known);
  return known;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap((one: unknown) => childrenOf(one));
  return isNode(args) ? [args] : [];
}

function isNodesVariable(node: ASTNode | undefined): boolean {
  return node?.op === 'id' && node.args === 'nodes';
}

/** `nodes.a` and `nodes["a"]`; a name that is computed cannot be told and is caught when it is evaluated. */
function namesIn(root: ASTNode): string[] {
  const names = new Set<string>();
  const stack = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const args: unknown = node.args;
    if ((node.op === '.' || node.op === '[]') && Array.isArray(args) && isNodesVariable(args[0] as ASTNode)) {
      const key: unknown = args[1];
      if (typeof key === 'string') names.add(key);
      else if (isNode(key) && key.op === 'value' && typeof key.args === 'string') names.add(key.args);
    }
    stack.push(...childrenOf(args));
  }
  return [...names];
}

function summaryOf(thrown: unknown): string {
  const { summary } = thrown as { summary?: unknown };
  return typeof summary === 'string' ? summary.slice(0, 200) : 'it could not be understood';
}

export function compileCondition(kind: 'when' | 'until', expression: string): CompiledCondition {
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = environmentOf(kind).parse(expression);
  } catch (thrown) {
    return { ok: false, why: summaryOf(thrown) };
  }
  const shape = celShape(parsed.ast);
  if (shape.refused !== undefined) return { ok: false, why: shape.refused.why };
  const checked = parsed.check();
  if (!checked.valid) return { ok: false, why: summaryOf(checked.error) };
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    return { ok: false, why: `gives ${checked.type ?? 'no type'}, not a bool` };
  }
  const evaluate = (input: ConditionInput): ConditionAnswer => {
    try {
      const seen = { ...input } as unknown as JsonObject;
      if (!isAffordable(shape, seen)) return { problem: 'the outputs are too large to evaluate it' };
      const answer: unknown = parsed(celValue(seen) as Record<string, CelValue>);
      return typeof answer === 'boolean' ? answer : { problem: 'it gave no bool' };
    } catch (thrown) {
      return { problem: summaryOf(thrown) };
    }
  };
  return { ok: true, condition: { evaluate, names: namesIn(parsed.ast) } };
}
