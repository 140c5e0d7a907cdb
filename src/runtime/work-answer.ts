// Owns how the end of an invocation is told on the wire: bounded, whatever the session has said. Pure.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import type { Queued } from '../pack/background/queue.ts';
import type { LoopError } from '../pack/loop/client-port.ts';
import type { ManagedResult, ManagedStatus } from '../pack/managed/contract.ts';
import type { WaitingCall, WorkAnswer } from '../pack/managed/surface.ts';
import type { WorkflowResult } from '../pack/workflows/contract.ts';

/** What the rows say beside the result. */
export interface WorkFacts {
  startedAt: EpochMs;
  updatedAt: EpochMs;
  expiresAt?: EpochMs;
  runId: string;
  turnCount: number;
  toolCallCount: number;
  answerAt: string[];
}

type Base = Pick<
  WorkAnswer,
  'session_id' | 'run_id' | 'status' | 'started_at' | 'updated_at' | 'turn_count' | 'tool_call_count'
> & { expires_at?: string };

function base(sessionId: string, status: ManagedStatus, facts: WorkFacts): Base {
  return {
    session_id: sessionId,
    run_id: facts.runId,
    status,
    started_at: isoTime(facts.startedAt),
    updated_at: isoTime(facts.updatedAt),
    ...(facts.expiresAt === undefined ? {} : { expires_at: isoTime(facts.expiresAt) }),
    turn_count: facts.turnCount,
    tool_call_count: facts.toolCallCount,
  };
}

/** Work that no invocation has ended yet, or that a worker has. */
export function underWay(
  sessionId: string,
  status: ManagedStatus,
  facts: WorkFacts,
  queued?: Queued,
): WorkAnswer {
  const view = base(sessionId, status, facts);
  return queued?.position === undefined
    ? { ...view, kind: 'in_progress' }
    : { ...view, kind: 'queued', position: queued.position };
}

/** Work that the queue gave up: no invocation of it ended so, but nobody carries it on until it is resumed. */
export function givenUp(
  sessionId: string,
  status: ManagedStatus,
  facts: WorkFacts,
  error: LoopError,
): WorkAnswer {
  return { ...base(sessionId, status, facts), kind: 'error', error };
}

function lastTurn(result: ManagedResult): Pick<WorkAnswer, 'last_turn'> {
  return 'last_turn' in result ? { last_turn: result.last_turn } : {};
}

export function sessionAnswer(result: ManagedResult, facts: WorkFacts): WorkAnswer {
  const known = {
    ...facts,
    runId: result.run_id,
    turnCount: result.turn_count,
    toolCallCount: result.tool_call_count,
  };
  const view = { ...base(result.session_id, result.status, known), ...lastTurn(result) };
  switch (result.kind) {
    case 'completed':
      return { ...view, kind: 'completed', final_turn: result.final_turn };
    case 'approval_required': {
      const { pending_request_id, requested_tool } = result;
      const waiting: WaitingCall[] = [{ pending_request_id, requested_tool }];
      const answer_at = facts.answerAt;
      return { ...view, kind: 'approval_required', pending_request_id, requested_tool, waiting, answer_at };
    }
    case 'suspended':
      return { ...view, kind: 'suspended', reason: result.reason };
    case 'canceled':
    case 'expired':
      return { ...view, kind: result.kind, reason: result.reason };
    case 'error':
      return { ...view, kind: 'error', error: result.error };
  }
}

/** Every call of every branch that waits for a person, the one that the result names first. */
function waitingCalls({ waiting_nodes }: WorkflowResult, first: WaitingCall): WaitingCall[] {
  const others = waiting_nodes.flatMap((one) =>
    one.needs === 'approval' && one.pending_request_id !== first.pending_request_id
      ? [{ node_id: one.node_id, pending_request_id: one.pending_request_id }]
      : [],
  );
  return [first, ...others];
}

export function workflowAnswer(result: WorkflowResult, facts: WorkFacts): WorkAnswer {
  const { completed_node_ids } = result;
  const view = { ...base(result.session_id, result.status, facts), completed_node_ids };
  switch (result.kind) {
    case 'completed':
      return { ...view, kind: 'completed' };
    case 'scheduled': {
      const { next_wake_at, scheduled_node_ids } = result;
      return { ...view, kind: 'scheduled', next_wake_at, scheduled_node_ids };
    }
    case 'approval_required': {
      const { node_id, pending_request_id, requested_tool } = result;
      const waiting = waitingCalls(result, { node_id, pending_request_id, requested_tool });
      const asked = { node_id, pending_request_id, requested_tool, waiting, answer_at: facts.answerAt };
      return { ...view, kind: 'approval_required', ...asked };
    }
    case 'suspended':
      return { ...view, kind: 'suspended', node_id: result.node_id, reason: result.reason };
    case 'error': {
      const failed = { ...view, kind: 'error' as const, node_id: result.node_id, error: result.error };
      return result.over ? failed : { ...failed, goes_on: true };
    }
    case 'canceled':
      return { ...view, kind: 'canceled', reason: result.reason };
  }
}
