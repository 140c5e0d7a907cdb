// Owns what is wrong with the conditions and output schemas of a workflow: expressions that do not compile or look at a
// node that need not have ended, and schemas that cannot be judged safely.
import { prepareSchema } from '../../kernel/policy/arg-schema.ts';
import type { PathPart } from '../../config/problems.ts';
import type { PlacedNode } from './check-graph.ts';
import { compileCondition } from './condition.ts';
import { ancestorsOf } from './definition.ts';
import type { Report } from './definition.ts';

interface Named {
  kind: 'when' | 'until';
  expression: string;
  path: PathPart[];
}

function conditionsOf({ node, at }: PlacedNode): Named[] {
  const found: Named[] = [];
  if (node.when !== undefined)
    found.push({ kind: 'when', expression: node.when, path: ['nodes', at, 'when'] });
  if (node.loop !== undefined) {
    found.push({ kind: 'until', expression: node.loop.until, path: ['nodes', at, 'loop', 'until'] });
  }
  return found;
}

export async function checkConditions(placed: readonly PlacedNode[], report: Report): Promise<void> {
  const nodes = placed.map(({ node }) => node);
  const ids = new Set(nodes.map(({ id }) => id));
  for (const one of placed) {
    for (const { kind, expression, path } of conditionsOf(one)) {
      const compiled = compileCondition(kind, expression);
      if (!compiled.ok) {
        report(path, `is not a condition: ${compiled.why}`);
        continue;
      }
      const known = ancestorsOf(nodes, one.node.id);
      for (const name of compiled.condition.names) {
        if (!ids.has(name)) report(path, `looks at ${name}, which is no node of this workflow`);
        else if (!known.has(name)) report(path, `looks at ${name}, on which ${one.node.id} does not depend`);
      }
    }
    if (one.node.output_schema === undefined) continue;
    const prepared = await prepareSchema(one.node.output_schema);
    if ('refused' in prepared) report(['nodes', one.at, 'output_schema'], `is refused: ${prepared.refused}`);
  }
}
