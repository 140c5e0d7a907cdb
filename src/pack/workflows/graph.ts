// Owns a definition made ready for questions: nodes by id, what each may look at, conditions and schemas compiled once.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { prepareSchema } from '../../kernel/policy/arg-schema.ts';
import type { PreparedSchema } from '../../kernel/policy/arg-schema.ts';
import { compileCondition } from './condition.ts';
import type { Condition } from './condition.ts';
import type { NodeOutput } from './contract.ts';
import { ancestorsOf, DEFAULT_CONCURRENCY } from './definition.ts';
import type { FailurePolicy, NodeDefinition, WorkflowDefinition } from './definition.ts';
import { valueAt } from './pointer.ts';
import type { NodeState } from './state.ts';
import { parseWakeTime } from './wake-time.ts';

export interface GraphNode {
  node: NodeDefinition;
  dependsOn: readonly string[];
  ancestors: ReadonlySet<string>;
  wakeAt?: number;
  when?: Condition;
  until?: Condition;
  schema?: PreparedSchema;
}

export interface Graph {
  definition: WorkflowDefinition;
  nodes: ReadonlyMap<string, GraphNode>;
  concurrency: number;
  failurePolicy: FailurePolicy;
}

function compiled(kind: 'when' | 'until', expression: string | undefined): Condition | undefined {
  if (expression === undefined) return undefined;
  const made = compileCondition(kind, expression);
  if (!made.ok) throw new RuntimeError('STORE_CORRUPT', `A recorded condition does not compile: ${made.why}`);
  return made.condition;
}

async function graphNode(definition: WorkflowDefinition, node: NodeDefinition): Promise<GraphNode> {
  const wake = node.wake_at === undefined ? undefined : parseWakeTime(node.wake_at);
  const when = compiled('when', node.when);
  const until = compiled('until', node.loop?.until);
  const schema = node.output_schema === undefined ? undefined : await prepareSchema(node.output_schema);
  return {
    node,
    dependsOn: node.depends_on ?? [],
    ancestors: ancestorsOf(definition.nodes, node.id),
    ...(wake?.ok === true ? { wakeAt: wake.at } : {}),
    ...(when === undefined ? {} : { when }),
    ...(until === undefined ? {} : { until }),
    ...(schema === undefined ? {} : { schema }),
  };
}

/** Of a definition that parseWorkflow has passed. */
export async function createGraph(definition: WorkflowDefinition): Promise<Graph> {
  const nodes = new Map<string, GraphNode>();
  for (const node of definition.nodes) nodes.set(node.id, await graphNode(definition, node));
  return {
    definition,
    nodes,
    concurrency: definition.concurrency ?? DEFAULT_CONCURRENCY,
    failurePolicy: definition.failure_policy ?? 'fail_fast',
  };
}

export type Outputs = ReadonlyMap<string, NodeOutput>;

export type NodeInputs = { ok: true; values: JsonObject } | { ok: false; why: string };

function typeOf(value: JsonValue): string {
  if (Array.isArray(value)) return 'array';
  return value === null ? 'null' : typeof value;
}

/** The values of a node's mappings. What a skipped node would have given is null; a missing or wrong value is a fault. */
export function inputsOf(
  { node }: GraphNode,
  states: ReadonlyMap<string, NodeState>,
  outputs: Outputs,
): NodeInputs {
  const values: JsonObject = {};
  for (const [name, { from, path, type }] of Object.entries(node.inputs ?? {})) {
    const output = outputs.get(from);
    if (output === undefined) {
      if (states.get(from)?.at !== 'skipped') return { ok: false, why: `the output of ${from} is gone` };
      values[name] = null;
      continue;
    }
    const value = valueAt(output as unknown as JsonObject, path);
    if (value === undefined)
      return { ok: false, why: `${from} gave nothing at ${path} for the input ${name}` };
    if (type !== undefined && typeOf(value) !== type) {
      return { ok: false, why: `the input ${name} expects ${type}, but ${from} gave ${typeOf(value)}` };
    }
    values[name] = value;
  }
  return { ok: true, values };
}

/** The nodes before this one as conditions see them. */
export function nodesBefore(
  { ancestors }: GraphNode,
  states: ReadonlyMap<string, NodeState>,
  outputs: Outputs,
): JsonObject {
  const seen: JsonObject = {};
  for (const id of ancestors) {
    const output = outputs.get(id);
    seen[id] = {
      status: states.get(id)?.at ?? 'pending',
      output: output === undefined ? null : (output as unknown as JsonObject),
    };
  }
  return seen;
}
