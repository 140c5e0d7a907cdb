// Owns reading back what a workflow sealed: outputs of nodes, and the calls that they wait to have approved.
import type { ChainKey, Store } from '../../store/contract.ts';
import type { RequestedTool } from '../turn/contract.ts';
import type { NodeOutput } from './contract.ts';
import { sealedObject } from './events.ts';
import type { Graph } from './graph.ts';
import { outputFrom } from './output.ts';
import { isEnded } from './state.ts';
import type { LiveWorkflow } from './state.ts';

export async function readOutputAt(
  store: Store,
  chain: ChainKey,
  seq: number,
): Promise<NodeOutput | undefined> {
  const sealed = await store.unseal(chain, seq);
  return sealed.state === 'present' ? outputFrom(sealed.value) : undefined;
}

function outputSeq(state: LiveWorkflow, id: string): number | undefined {
  const node = state.nodes.get(id);
  return node?.at === 'completed' || node?.at === 'compensating' ? node.seq : undefined;
}

/** Adds the outputs that nodes yet to end may look at; each is read once. */
export async function learnOutputs(
  store: Store,
  chain: ChainKey,
  at: { state: LiveWorkflow; graph: Graph; known: Map<string, NodeOutput> },
): Promise<void> {
  const { state, graph, known } = at;
  const wanted = new Set<string>();
  for (const [id, node] of state.nodes) {
    if (isEnded(node)) continue;
    if (node.at === 'compensating') wanted.add(id);
    else for (const ancestor of graph.nodes.get(id)?.ancestors ?? []) wanted.add(ancestor);
  }
  for (const id of wanted) {
    const seq = outputSeq(state, id);
    if (seq === undefined || known.has(id)) continue;
    const output = await readOutputAt(store, chain, seq);
    if (output !== undefined) known.set(id, output);
  }
}

const GONE: RequestedTool = {
  name: 'erased',
  input: {},
  tool_call_id: '',
  decision: { decision: 'approval_required', rule_id: '', layer: '', reasons: [], policy_digest: '' },
};

/** The calls of all nodes that wait for approval, from the records that told of them. */
export async function readTools(
  store: Store,
  chain: ChainKey,
  state: LiveWorkflow,
): Promise<(node: string) => RequestedTool> {
  const tools = new Map<string, RequestedTool>();
  for (const [id, node] of state.nodes) {
    const hold = node.at === 'waiting' || node.at === 'compensating' ? node.hold : undefined;
    if (hold?.kind !== 'approval') continue;
    const sealed = await store.unseal(chain, hold.seq);
    if (sealed.state !== 'present') continue;
    tools.set(id, sealedObject(sealed.value).requested_tool as unknown as RequestedTool);
  }
  return (id) => tools.get(id) ?? GONE;
}
