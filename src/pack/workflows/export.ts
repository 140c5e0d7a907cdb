// Owns the pictures of a workflow with its live state: Mermaid text and JSON. A label can say anything, so nothing in it
// may end the label, begin markup, or hide.
import type { JsonObject } from '../../base/json.ts';
import { showCut } from '../../base/text.ts';
import type { NodeDefinition, WorkflowDefinition } from './definition.ts';
import { nodeStatus, statusOf } from './result.ts';
import type { LiveWorkflow, NodeState } from './state.ts';

const LABEL_CHARS = 120;

/** Entity codes of Mermaid (`#60;`) for everything but letters, digits and harmless marks. */
export function mermaidLabel(text: string): string {
  return showCut(text, LABEL_CHARS).replace(
    /[^\p{L}\p{N} .,:_=-]/gu,
    (char) => `#${char === '\n' || char === '\t' ? 32 : (char.codePointAt(0) ?? 32)};`,
  );
}

function stateOf(state: LiveWorkflow, id: string): NodeState {
  return state.nodes.get(id) ?? { at: 'pending' };
}

function runOf(node: NodeState): string {
  if (!('iteration' in node)) return '';
  const attempt = node.attempt > 1 ? `, attempt ${node.attempt}` : '';
  const iteration = node.iteration > 1 ? `, iteration ${node.iteration}` : '';
  return attempt + iteration;
}

/** `flowchart TD`; nodes are n0, n1, … so that no id meets a word of Mermaid. */
export function graphMermaid(definition: WorkflowDefinition, state: LiveWorkflow): string {
  const names = new Map(definition.nodes.map(({ id }, index) => [id, `n${index}`]));
  const lines = ['flowchart TD'];
  for (const { id } of definition.nodes) {
    const node = stateOf(state, id);
    const status = nodeStatus(node);
    lines.push(`  ${names.get(id) ?? ''}["${mermaidLabel(`${id}: ${status}${runOf(node)}`)}"]:::${status}`);
  }
  for (const { id, depends_on: dependsOn = [], when } of definition.nodes) {
    const arrow = when === undefined ? '-->' : `-->|"${mermaidLabel(when)}"|`;
    for (const dependency of dependsOn) {
      lines.push(`  ${names.get(dependency) ?? ''} ${arrow} ${names.get(id) ?? ''}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function nodeJson(node: NodeDefinition, now: NodeState): JsonObject {
  return {
    id: node.id,
    status: nodeStatus(now),
    depends_on: node.depends_on ?? [],
    ...(node.when === undefined ? {} : { when: node.when }),
    ...(node.wake_at === undefined ? {} : { wake_at: node.wake_at }),
    ...('sessionId' in now ? { session_id: now.sessionId } : {}),
    ...('iteration' in now ? { attempt: now.attempt, iteration: now.iteration } : {}),
    ...('error' in now ? { error: { ...now.error } } : {}),
  };
}

export function graphJson(definition: WorkflowDefinition, state: LiveWorkflow): JsonObject {
  return {
    status: statusOf(state),
    nodes: definition.nodes.map((node) => nodeJson(node, stateOf(state, node.id))),
    edges: definition.nodes.flatMap(({ id, depends_on: dependsOn = [] }) =>
      dependsOn.map((from) => ({ from, to: id })),
    ),
  };
}
