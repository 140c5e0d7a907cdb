// Owns what is wrong with the edges of a workflow: ids twice, dependencies on nothing, cycles, and nodes that a cycle
// keeps from ever starting. A repetition is a node's own `loop`, never an edge back.
import type { NodeDefinition, Report } from './definition.ts';

export interface PlacedNode {
  node: NodeDefinition;
  /** Index in `nodes`. */
  at: number;
}

function checkIds(nodes: readonly PlacedNode[], report: Report): void {
  const seen = new Set<string>();
  for (const { node, at } of nodes) {
    if (seen.has(node.id)) report(['nodes', at, 'id'], `is the second node with the id ${node.id}`);
    seen.add(node.id);
  }
}

function checkDependencies(nodes: readonly PlacedNode[], report: Report): void {
  const ids = new Set(nodes.map(({ node }) => node.id));
  for (const { node, at } of nodes) {
    const named = new Set<string>();
    (node.depends_on ?? []).forEach((dependency, index) => {
      const path = ['nodes', at, 'depends_on', index];
      if (!ids.has(dependency)) report(path, `depends on ${dependency}, which is no node of this workflow`);
      else if (named.has(dependency)) report(path, `names ${dependency} twice`);
      named.add(dependency);
    });
  }
}

/** Removes what can start until nothing more can: what is left waits for a cycle. */
function stuckNodes(byId: ReadonlyMap<string, NodeDefinition>): Set<string> {
  const left = new Set(byId.keys());
  for (let moved = true; moved;) {
    moved = false;
    for (const id of left) {
      const waits = (byId.get(id)?.depends_on ?? []).some((dependency) => left.has(dependency));
      if (!waits) moved = left.delete(id);
    }
  }
  return left;
}

/** The way from a node back to itself along dependencies, if there is one. */
function cycleThrough(byId: ReadonlyMap<string, NodeDefinition>, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const open = [start];
  for (let id = open.shift(); id !== undefined; id = open.shift()) {
    for (const dependency of byId.get(id)?.depends_on ?? []) {
      if (dependency === start) {
        const way = [start];
        for (
          let step: string | undefined = id;
          step !== undefined && step !== start;
          step = cameFrom.get(step)
        ) {
          way.push(step);
        }
        return [...way, start];
      }
      if (cameFrom.has(dependency)) continue;
      cameFrom.set(dependency, id);
      open.push(dependency);
    }
  }
  return undefined;
}

function checkCycles(nodes: readonly PlacedNode[], report: Report): void {
  const byId = new Map(nodes.map(({ node }) => [node.id, node]));
  const stuck = stuckNodes(byId);
  const told = new Set<string>();
  for (const { node, at } of nodes) {
    if (!stuck.has(node.id) || told.has(node.id)) continue;
    const cycle = cycleThrough(byId, node.id);
    if (cycle === undefined) {
      report(['nodes', at, 'depends_on'], `can never start: what ${node.id} depends on waits for a cycle`);
      continue;
    }
    for (const id of cycle) told.add(id);
    report(
      ['nodes', at, 'depends_on'],
      `is part of the cycle ${cycle.join(' → ')}; use the node's loop for a repetition`,
    );
  }
}

export function checkGraph(nodes: readonly PlacedNode[], report: Report): void {
  checkIds(nodes, report);
  checkDependencies(nodes, report);
  checkCycles(nodes, report);
}
