// Owns the words of a workflow's definition, in snake case, as on the wire and in YAML.
import type { JsonObject } from '../../base/json.ts';
import type { PathPart } from '../../config/problems.ts';
import type { TurnInput } from '../turn/contract.ts';

/** One input of a node, taken from what an earlier one gave. */
export interface InputMapping {
  /** A node that this one depends on, directly or through others. */
  from: string;
  /** JSON pointer into that node's output; '' is the whole output. */
  path: string;
  type?: JsonType;
}

export type JsonType = 'string' | 'number' | 'boolean' | 'object' | 'array';

/** Snake case, as on the wire and in YAML. */
export interface NodeDefinition {
  id: string;
  execute_turn_input: TurnInput;
  depends_on?: string[];
  /** Not before this instant. */
  wake_at?: string;
  /** CEL over `inputs` and `nodes`; false skips the node. */
  when?: string;
  inputs?: Record<string, InputMapping>;
  /** JSON Schema of the final answer, which is then JSON. */
  output_schema?: JsonObject;
  /** Attempts in all, and milliseconds between two; its compensation has as many of its own. */
  retry?: { max_attempts: number; delay_ms?: number };
  /** Runs again, with its last output, until the condition holds. */
  loop?: { until: string; max_iterations: number };
  compensate?: { execute_turn_input: TurnInput };
  /** Turns of one invocation. */
  max_turns?: number;
}

export type FailurePolicy = 'fail_fast' | 'continue' | 'compensate';

/** A workflow, as it is given: nodes that depend on each other without a circle. docs/workflows.md has the file format. */
export interface WorkflowDefinition {
  session_id?: string;
  id?: string;
  nodes: NodeDefinition[];
  /** Nodes that are under way at once; default 4. */
  concurrency?: number;
  failure_policy?: FailurePolicy;
}

export const DEFAULT_CONCURRENCY = 4;

/** Notes one problem; `path` leads from the top of the definition. */
export type Report = (path: readonly PathPart[], sentence: string) => void;

/** Every node that must have ended before this one begins. */
export function ancestorsOf(nodes: readonly NodeDefinition[], id: string): Set<string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const found = new Set<string>();
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const dependency of byId.get(next)?.depends_on ?? []) {
      if (found.has(dependency)) continue;
      found.add(dependency);
      open.push(dependency);
    }
  }
  return found;
}
