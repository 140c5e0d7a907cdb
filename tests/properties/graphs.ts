// Random workflows: fan-out, joins, conditions, failures, retries, loops, approvals, timers; small ones first when shrunk.
import fc from 'fast-check';
import type { Say } from '../workflows/fake-sessions.ts';
import { node, says } from '../workflows/rig.ts';

export interface NodeSpec {
  /** Bit i: depends on the i-th node before it. */
  dependsOn: number;
  answer: 'yes' | 'no';
  /** Runs only when its first dependency said yes. */
  isConditional: boolean;
  /** Attempts that fail before one succeeds, and how many it has. */
  failures: number;
  attempts: number;
  delayMs: number;
  holds: ('approval' | 'budget')[];
  wakeAfterS: number;
  iterations: number;
  isCompensable: boolean;
  /** Attempts at its compensation that fail before one succeeds. */
  undoFailures: number;
}

export interface GraphSpec {
  nodes: NodeSpec[];
  policy: 'fail_fast' | 'continue' | 'compensate';
  concurrency: number;
}

const START = Date.UTC(2026, 0, 1);
const often = <T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 4 }, { arbitrary: other, weight: 1 });

const nodeSpec: fc.Arbitrary<NodeSpec> = fc.record({
  dependsOn: fc.nat({ max: 255 }),
  answer: fc.constantFrom('yes', 'no'),
  isConditional: often(false, fc.constant(true)),
  failures: often(0, fc.integer({ min: 1, max: 3 })),
  attempts: fc.integer({ min: 1, max: 3 }),
  delayMs: fc.constantFrom(0, 1000, 600_000),
  holds: often<NodeSpec['holds']>(
    [],
    fc.array(fc.constantFrom('approval', 'budget'), { minLength: 1, maxLength: 2 }),
  ),
  wakeAfterS: often(0, fc.integer({ min: 1, max: 100_000 })),
  iterations: often(1, fc.constantFrom(2, 3)),
  isCompensable: fc.boolean(),
  undoFailures: often(0, fc.integer({ min: 1, max: 3 })),
});

export const graphSpec: fc.Arbitrary<GraphSpec> = fc.record({
  nodes: fc.array(nodeSpec, { minLength: 1, maxLength: 8 }),
  policy: fc.constantFrom('continue', 'fail_fast', 'compensate'),
  concurrency: fc.integer({ min: 1, max: 5 }),
});

export function dependenciesOf({ nodes }: GraphSpec, at: number): string[] {
  const mask = nodes[at]!.dependsOn;
  return nodes.slice(0, at).flatMap((_one, index) => ((mask >> index) & 1 ? [`n${index}`] : []));
}

export function answerOf(spec: NodeSpec, at: number): string {
  return `${spec.answer} from n${at}`;
}

function definitionOf(graph: GraphSpec, at: number): Record<string, unknown> {
  const spec = graph.nodes[at]!;
  const dependsOn = dependenciesOf(graph, at);
  const [first] = dependsOn;
  const condition = `has(nodes.${first}.output.status) && nodes.${first}.output.assistant_message.startsWith("yes")`;
  return {
    depends_on: dependsOn,
    ...(spec.isConditional && first !== undefined
      ? { when: `nodes.${first}.output != null && ${condition}` }
      : {}),
    ...(spec.wakeAfterS > 0 ? { wake_at: new Date(START + spec.wakeAfterS * 1000).toISOString() } : {}),
    ...(spec.attempts > 1 ? { retry: { max_attempts: spec.attempts, delay_ms: spec.delayMs } } : {}),
    ...(spec.iterations > 1 ? { loop: { until: `iteration >= ${spec.iterations}`, max_iterations: 5 } } : {}),
    ...(spec.isCompensable ? { compensate: { execute_turn_input: says('undo') } } : {}),
  };
}

export function workflowOf(graph: GraphSpec): { session_id: string } & Record<string, unknown> {
  return {
    session_id: 'wf',
    concurrency: graph.concurrency,
    failure_policy: graph.policy,
    nodes: graph.nodes.map((_one, at) => node(`n${at}`, definitionOf(graph, at))),
  };
}

export function undoingsOf(graph: GraphSpec, name: string, attempt: number): Say[] {
  const { undoFailures } = graph.nodes[Number(name.slice(1))]!;
  return attempt <= undoFailures ? [{ fail: 'PROVIDER_TIMEOUT' }] : [{ complete: 'undone' }];
}

/** Attempts that fail do so first; then it waits as often as it should, and answers. */
export function sayingsOf(graph: GraphSpec, name: string, attempt: number): Say[] {
  const at = Number(name.slice(1));
  const spec = graph.nodes[at]!;
  if (attempt <= spec.failures) return [{ fail: 'PROVIDER_TIMEOUT' }];
  const held = spec.holds.map((one, index): Say =>
    one === 'approval' ? { wait: `apr_${name}_${index}` } : { suspend: `budget ${index}` },
  );
  return [...held, { complete: answerOf(spec, at) }];
}
