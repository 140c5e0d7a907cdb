// Owns what is wrong with single nodes beyond their shape: wake times, and a session that is not theirs to name.
import type { PlacedNode } from './check-graph.ts';
import type { Report } from './definition.ts';
import { parseWakeTime } from './wake-time.ts';

export function checkNodes(nodes: readonly PlacedNode[], report: Report): void {
  for (const { node, at } of nodes) {
    if (node.wake_at !== undefined) {
      const wake = parseWakeTime(node.wake_at);
      if (!wake.ok) report(['nodes', at, 'wake_at'], wake.why);
    }
    const inputs = [
      { input: node.execute_turn_input, path: ['nodes', at, 'execute_turn_input'] },
      { input: node.compensate?.execute_turn_input, path: ['nodes', at, 'compensate', 'execute_turn_input'] },
    ];
    for (const { input, path } of inputs) {
      if (input?.session_id === undefined) continue;
      report(
        [...path, 'session_id'],
        'must be left out: the workflow gives each run of a node its own session',
      );
    }
  }
}
