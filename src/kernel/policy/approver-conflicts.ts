// Owns which demands for approval of one tool no single approval can meet: told before a call of it is denied for that. Pure.
import type { CompiledRule, Plan, ToolPlan } from './plan.ts';

export interface ApproverConflict {
  tool: string;
  /** Who asks, and for whom. */
  demands: { by: string; approver: string }[];
  /** Every call that both concern is denied; else every one that meets their conditions. */
  always: boolean;
}

interface Demand {
  by: string;
  approver: string;
  hasCondition: boolean;
}

function demandsOf(rules: readonly CompiledRule[]): Demand[] {
  return rules.flatMap(({ id, when, says: { verdict, approver = 'principal' } }) =>
    verdict !== 'approval_required' || approver === 'principal'
      ? []
      : [{ by: `rule ${id}`, approver, hasCondition: when !== undefined }],
  );
}

/** What may meet in one call: the catalog, the workspace, one lane and one task. */
function waysThrough(tool: ToolPlan): Demand[][] {
  const catalog = tool.demands.flatMap(({ approver = 'principal' }) =>
    approver === 'principal' ? [] : [{ by: 'the catalog', approver, hasCondition: false }],
  );
  const everywhere = [...catalog, ...demandsOf(tool.workspace)];
  const lanes = [[], ...tool.lanes.values()].map(demandsOf);
  const tasks = [[], ...tool.tasks.values()].map(demandsOf);
  return lanes.flatMap((lane) => tasks.map((task) => [...everywhere, ...lane, ...task]));
}

/** Two conditions may exclude each other; a demand without one meets whatever is asked beside it. */
function conflictsIn(demands: readonly Demand[]): [Demand, Demand][] {
  return demands.flatMap((one, at) =>
    demands
      .slice(at + 1)
      .filter((other) => one.approver !== other.approver && !(one.hasCondition && other.hasCondition))
      .map((other): [Demand, Demand] => [one, other]),
  );
}

export function approverConflicts({ tools }: Plan): ApproverConflict[] {
  const found = new Map<string, ApproverConflict>();
  for (const [tool, plan] of tools) {
    for (const pair of waysThrough(plan).flatMap(conflictsIn)) {
      const demands = pair.map(({ by, approver }) => ({ by, approver }));
      const always = pair.every((one) => !one.hasCondition);
      found.set(JSON.stringify([tool, demands, always]), { tool, demands, always });
    }
  }
  return [...found.values()];
}

/** One line for a person. */
export function conflictText({ tool, demands, always }: ApproverConflict): string {
  const who = demands.map(({ by, approver }) => `${by} asks ${approver}`).join(', ');
  const which = always ? 'its calls are denied' : 'its calls are denied where both apply';
  return `${tool}: ${who}; one approval cannot meet both, so ${which} (approver_conflict)`;
}
