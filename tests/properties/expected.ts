// What a graph must come to, worked out from its description alone: no engine, no order, no crash. It is what two lives that
// agree with each other are held against.
import { dependenciesOf } from './graphs.ts';
import type { GraphSpec, NodeSpec } from './graphs.ts';

export type ExpectedStatus = 'completed' | 'error' | 'skipped';

export interface Expected {
  kind: 'completed' | 'error';
  statuses: ExpectedStatus[];
}

interface Place {
  status: ExpectedStatus;
  /** It failed, or was left out because one before it did. */
  isLost: boolean;
}

function isFailing({ failures, attempts }: NodeSpec): boolean {
  return failures >= attempts;
}

function placeOf(graph: GraphSpec, at: number, before: readonly Place[]): Place {
  const spec = graph.nodes[at]!;
  const dependencies = dependenciesOf(graph, at).map((name) => Number(name.slice(1)));
  const places = dependencies.map((index) => before[index]!);
  if (places.some(({ isLost }) => isLost)) return { status: 'skipped', isLost: true };
  const [first] = dependencies;
  if (first !== undefined) {
    const saidYes = before[first]!.status === 'completed' && graph.nodes[first]!.answer === 'yes';
    const isAllSkipped = places.every(({ status }) => status === 'skipped');
    if (isAllSkipped || (spec.isConditional && !saidYes)) return { status: 'skipped', isLost: false };
  }
  return isFailing(spec) ? { status: 'error', isLost: true } : { status: 'completed', isLost: false };
}

/** What becomes of each node when the others go on; where a failure ends the rest, only the kind is certain. */
export function expectedOf(graph: GraphSpec): Expected {
  const places: Place[] = [];
  for (let at = 0; at < graph.nodes.length; at++) places.push(placeOf(graph, at, places));
  const statuses = places.map(({ status }) => status);
  return { kind: statuses.includes('error') ? 'error' : 'completed', statuses };
}
