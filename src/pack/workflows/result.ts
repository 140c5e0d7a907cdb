// Owns how a workflow is told: the status of each node, the derived status of the whole, and the typed result.
import { isoTime } from '../../base/clock.ts';
import type { RequestedTool } from '../turn/contract.ts';
import type { NodeStatus, WaitingNode, WorkflowFacts, WorkflowResult, WorkflowStatus } from './contract.ts';
import { isEnded } from './state.ts';
import type { Hold, LiveWorkflow, NodeState, WorkflowEnd } from './state.ts';

function heldStatus(hold: Hold | undefined): NodeStatus | undefined {
  if (hold === undefined) return undefined;
  return hold.kind === 'approval' ? 'waiting_approval' : 'suspended';
}

export function nodeStatus(node: NodeState): NodeStatus {
  switch (node.at) {
    case 'running':
      return 'active';
    case 'parked':
    case 'to_compensate':
      return 'scheduled';
    case 'waiting':
      return heldStatus(node.hold) ?? 'suspended';
    case 'compensating':
      return heldStatus(node.hold) ?? 'compensating';
    case 'uncompensated':
      return 'error';
    default:
      return node.at;
  }
}

/** Ended: how it ended. Before: active while it is to be canceled; left by its process, waiting for approval, then an error, then suspended, then scheduled, then active. */
export function statusOf(state: LiveWorkflow): WorkflowStatus {
  if (state.end !== undefined) return state.end.as;
  if (state.cancelReason !== undefined) return 'active'; // whoever holds it, or looks after it next, ends it
  if (state.interrupted !== undefined) return 'suspended';
  const found = new Set([...state.nodes.values()].map(nodeStatus));
  if (found.has('waiting_approval')) return 'waiting_approval';
  if (found.has('error')) return 'error';
  if (found.has('suspended')) return 'suspended';
  const isMoving = found.has('active') || found.has('ready') || found.has('compensating');
  return found.has('scheduled') && !isMoving ? 'scheduled' : 'active';
}

/** The time that a node waits for. */
export function wakeOf(node: NodeState): number | undefined {
  if (node.at === 'scheduled' || node.at === 'parked' || node.at === 'to_compensate') return node.wakeAt;
  return node.at === 'compensating' ? node.wakeAt : undefined;
}

function waitingNode(id: string, node: NodeState): WaitingNode[] {
  const wakeAt = wakeOf(node);
  const session = 'sessionId' in node ? { session_id: node.sessionId } : {};
  if (wakeAt !== undefined) return [{ node_id: id, ...session, needs: 'time', wake_at: isoTime(wakeAt) }];
  const hold = node.at === 'waiting' || node.at === 'compensating' ? node.hold : undefined;
  if (hold === undefined) return [];
  if (hold.kind === 'approval') {
    return [{ node_id: id, ...session, needs: 'approval', pending_request_id: hold.requestId }];
  }
  const { why, reason } = hold;
  return [{ node_id: id, ...session, needs: 'resume', ...(why === undefined ? {} : { why }), reason }];
}

function completedIds(state: LiveWorkflow): string[] {
  return [...state.nodes].filter(([, node]) => node.at === 'completed').map(([id]) => id);
}

/** What the state alone does not say. */
export interface Known {
  /** The call that a waiting node asked for. */
  toolOf: (node: string) => RequestedTool;
  turnCount: number;
  toolCallCount: number;
}

type Common = Pick<
  WorkflowResult,
  | 'session_id'
  | 'run_id'
  | 'agent_id'
  | 'status'
  | 'over'
  | 'nodes'
  | 'waiting_nodes'
  | 'completed_node_ids'
  | 'turn_count'
  | 'tool_call_count'
>;

const CANCELING = 'It is being canceled.';
const LEFT = 'The invocation ended before the node did; resume goes on with it.';

/** What a caller is told. */
export function resultOf(facts: WorkflowFacts, state: LiveWorkflow, known: Known): WorkflowResult {
  const waiting = [...state.nodes].flatMap(([node, one]) => waitingNode(node, one));
  const status = statusOf(state);
  const common = {
    session_id: facts.id,
    run_id: facts.runId,
    agent_id: facts.agentId,
    status,
    over: state.end !== undefined,
    nodes: [...state.nodes].map(([node, one]) => ({ node_id: node, status: nodeStatus(one) })),
    waiting_nodes: waiting,
    completed_node_ids: completedIds(state),
    turn_count: known.turnCount,
    tool_call_count: known.toolCallCount,
  };
  return state.end === undefined ? openResult(state, common, known) : endResult(state.end, common);
}

function endResult(end: WorkflowEnd, common: Common): WorkflowResult {
  switch (end.as) {
    case 'completed':
      return { ...common, kind: 'completed' };
    case 'canceled':
      return { ...common, kind: 'canceled', reason: end.reason };
    case 'error':
      return { ...common, kind: 'error', node_id: end.nodeId, error: end.error };
  }
}

function openResult(state: LiveWorkflow, common: Common, { toolOf }: Known): WorkflowResult {
  const { status, waiting_nodes: waiting } = common;
  const open = [...state.nodes].find(([, node]) => !isEnded(node))?.[0] ?? 'workflow';
  if (state.cancelReason !== undefined) {
    return { ...common, kind: 'suspended', node_id: open, reason: CANCELING };
  }
  const asking = waiting.find((one) => one.needs === 'approval');
  if (asking !== undefined) {
    const { node_id, pending_request_id } = asking;
    return {
      ...common,
      kind: 'approval_required',
      node_id,
      pending_request_id,
      requested_tool: toolOf(node_id),
    };
  }
  const wrong = [...state.nodes].find(([, node]) => node.at === 'error' || node.at === 'uncompensated');
  if (wrong !== undefined && 'error' in wrong[1]) {
    return { ...common, kind: 'error', node_id: wrong[0], error: wrong[1].error };
  }
  const idle = waiting.find((one) => one.needs === 'resume');
  if (idle !== undefined) return { ...common, kind: 'suspended', node_id: idle.node_id, reason: idle.reason };
  const timed = waiting.flatMap((one) => (one.needs === 'time' ? [one] : []));
  const [first] = timed.map((one) => one.wake_at).sort();
  if (first !== undefined && status === 'scheduled') {
    const ids = timed.map((one) => one.node_id);
    return { ...common, kind: 'scheduled', next_wake_at: first, scheduled_node_ids: ids };
  }
  return { ...common, kind: 'suspended', node_id: open, reason: state.interrupted ?? LEFT };
}
