// Owns what the end of a session's run means for its node: pure, one answer for every kind of result and every error.
import { asRuntimeError } from '../../base/errors.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { ManagedResult } from '../managed/contract.ts';
import type { SuspendedWhy } from '../managed/state.ts';
import type { NodeOutput } from './contract.ts';
import type { WorkflowDraft } from './events.ts';
import { inputsOf, nodesBefore } from './graph.ts';
import type { Graph, GraphNode, Outputs } from './graph.ts';
import { readOutput, shownOutput } from './output.ts';
import type { LiveWorkflow, NodeState } from './state.ts';

/** How a run of a node's session ended. hasActed: that of an undo that failed had an effect, or may have had. */
export type Arrival = { node: string; hasActed?: boolean } & ({ said: ManagedResult } | { thrown: unknown });

export interface OutcomeView {
  state: LiveWorkflow;
  graph: Graph;
  outputs: Outputs;
  now: EpochMs;
}

/** An escalation asks for a person: the node waits for one, and nothing after it begins. */
export const ESCALATED = 'The model asked for an operator.';
const ACTED = 'A call of this undo took effect, or may have, so it is not tried again.';
// How long a node whose session somebody else runs is left alone.
const HELD_MS = 15_000;

interface View extends OutcomeView {
  hasActed: boolean;
}

type Driven = Extract<NodeState, { at: 'running' | 'waiting' | 'compensating' }>;

function isHeld(thrown: unknown): boolean {
  const { code, details } = asRuntimeError(thrown);
  return code === 'CONFLICT' && details.reason === 'run_held';
}

/** Another session would know nothing of what this one did, and might do it a second time. */
function halfUndone(id: string, { code, message }: LoopError): WorkflowDraft {
  const error: LoopError = { code, message: `${message} ${ACTED}` };
  return { event: { type: 'compensation_failed', node: id, error } };
}

function failed(id: string, node: Driven, error: LoopError, view: View): WorkflowDraft {
  const isUndo = node.at === 'compensating';
  if (isUndo && view.hasActed) return halfUndone(id, error);
  const retry = view.graph.nodes.get(id)?.node.retry;
  const mayRetry = error.code !== 'CANCELED' && retry !== undefined && node.attempt < retry.max_attempts;
  if (!mayRetry) return { event: { type: isUndo ? 'compensation_failed' : 'node_failed', node: id, error } };
  const wakeAt = view.now + (retry.delay_ms ?? 0);
  return { event: { type: isUndo ? 'compensation_retried' : 'node_retried', node: id, wakeAt, error } };
}

function completed(
  id: string,
  node: Exclude<Driven, { at: 'compensating' }>,
  output: NodeOutput,
  view: OutcomeView,
): WorkflowDraft {
  const payload = {
    shown: { output: shownOutput(output) },
    sealed: { output: output as unknown as JsonObject },
  };
  const one = view.graph.nodes.get(id);
  const { loop } = one?.node ?? {};
  if (one?.until === undefined || loop === undefined) {
    return { event: { type: 'node_completed', node: id }, ...payload };
  }
  const answer = untilOf(one, output, node.iteration, view);
  if (answer === true) return { event: { type: 'node_completed', node: id }, ...payload };
  if (answer === false && node.iteration < loop.max_iterations) {
    return { event: { type: 'loop_iterated', node: id }, ...payload };
  }
  const error: LoopError =
    answer === false
      ? { code: 'LIMIT_EXCEEDED', message: `Its loop did not end within ${loop.max_iterations} iterations.` }
      : { code: 'INVALID_INPUT', message: `The end of its loop could not be evaluated: ${answer.problem}.` };
  return { event: { type: 'node_failed', node: id, error } };
}

function untilOf(
  one: GraphNode,
  output: NodeOutput,
  iteration: number,
  { state, outputs }: OutcomeView,
): boolean | { problem: string } {
  const inputs = inputsOf(one, state.nodes, outputs);
  if (!inputs.ok) return { problem: inputs.why };
  const nodes = nodesBefore(one, state.nodes, outputs);
  const answer = one.until?.evaluate({
    inputs: inputs.values,
    nodes,
    output: output as unknown as JsonObject,
    iteration,
  });
  return answer ?? true;
}

function finished(
  id: string,
  node: Driven,
  said: Extract<ManagedResult, { kind: 'completed' }>,
  view: View,
): WorkflowDraft {
  if (said.final_turn.status === 'escalate') return suspended(id, 'escalated', ESCALATED);
  if (node.at === 'compensating') return { event: { type: 'node_compensated', node: id } };
  const read = readOutput(said.final_turn, view.graph.nodes.get(id)?.schema);
  return read.ok ? completed(id, node, read.output, view) : failed(id, node, read.error, view);
}

function suspended(id: string, why: SuspendedWhy, reason: string): WorkflowDraft {
  return { event: { type: 'node_suspended', node: id, why, reason } };
}

function parked(id: string, wakeAt: EpochMs): WorkflowDraft {
  return { event: { type: 'node_scheduled', node: id, wakeAt, why: 'held' } };
}

function drafted(id: string, node: Driven, said: ManagedResult, view: View): WorkflowDraft {
  switch (said.kind) {
    case 'completed':
      return finished(id, node, said, view);
    case 'approval_required': {
      const { pending_request_id: requestId, requested_tool: tool } = said;
      return {
        event: { type: 'node_waiting', node: id, requestId },
        shown: { tool: tool.name, tool_call_id: tool.tool_call_id },
        sealed: { requested_tool: tool as unknown as JsonObject },
      };
    }
    case 'suspended':
      return suspended(id, said.why, said.reason);
    case 'canceled':
      return failed(
        id,
        node,
        { code: 'CANCELED', message: `Its session was canceled: ${said.reason}` },
        view,
      );
    case 'expired':
      return failed(
        id,
        node,
        { code: 'SESSION_CLOSED', message: `Its session expired: ${said.reason}` },
        view,
      );
    case 'error':
      return failed(id, node, said.error, view);
  }
}

function holdOf(node: Driven): Extract<NodeState, { at: 'waiting' }>['hold'] | undefined {
  return node.at === 'running' ? undefined : node.hold;
}

/** A node that still waits for the very same has not moved, and nothing is recorded. */
function isSameHold(node: Driven, { event }: WorkflowDraft): boolean {
  const hold = holdOf(node);
  if (event.type === 'node_waiting') return hold?.kind === 'approval' && hold.requestId === event.requestId;
  return event.type === 'node_suspended' && hold?.kind === 'suspended' && hold.why === event.why;
}

/** Whether this run ended because the workflow itself is being ended. */
function isOurCancel(arrival: Arrival, { state, graph }: OutcomeView): boolean {
  const isClosing =
    state.cancelReason !== undefined ||
    (state.failedNode !== undefined && graph.failurePolicy === 'fail_fast');
  if (!isClosing) return false;
  return 'said' in arrival
    ? arrival.said.kind === 'canceled'
    : asRuntimeError(arrival.thrown).code === 'CANCELED';
}

/** What is to be recorded of a run that ended, or nothing. */
export function draftOf(arrival: Arrival, given: OutcomeView): WorkflowDraft | undefined {
  const { node: id, hasActed = false } = arrival;
  const view: View = { ...given, hasActed };
  const node = view.state.nodes.get(id);
  if (node?.at !== 'running' && node?.at !== 'waiting' && node?.at !== 'compensating') return undefined;
  if (isOurCancel(arrival, view)) return undefined;
  if ('said' in arrival) {
    const draft = drafted(id, node, arrival.said, view);
    return isSameHold(node, draft) ? undefined : draft;
  }
  if (isHeld(arrival.thrown)) return parked(id, view.now + HELD_MS);
  const { code, message } = asRuntimeError(arrival.thrown);
  return failed(id, node, { code, message }, view);
}
