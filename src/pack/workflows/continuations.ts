// Owns the log of continuations of a workflow: a view of its records, each at the time it was written.
import { isoTime } from '../../base/clock.ts';
import type { ChainKey, Store } from '../../store/contract.ts';
import type { Continuation } from '../managed/contract.ts';
import { readable } from '../sessions/session-events.ts';
import { eventOf } from './events.ts';
import type { NodeEvent, WorkflowEvent } from './state.ts';

type Told = Omit<Continuation, 'sequence' | 'timestamp'>;

function nodeTold(event: NodeEvent): Told | undefined {
  switch (event.type) {
    case 'node_scheduled':
      return { kind: 'scheduled', reason: 'Waiting for the scheduled wake time.', node_id: event.node };
    case 'node_retried':
    case 'compensation_retried':
      return { kind: 'scheduled', reason: `Retry after: ${event.error.message}`, node_id: event.node };
    case 'wakeup_fired':
      return { kind: 'wakeup', reason: 'Scheduled wake time reached.', node_id: event.node };
    case 'node_waiting': {
      const reason = 'Waiting for approval-driven continuation.';
      return { kind: 'approval_required', reason, request_id: event.requestId, node_id: event.node };
    }
    case 'node_suspended':
      return { kind: 'suspended', reason: event.reason, node_id: event.node };
    case 'node_completed':
      return { kind: 'branch_completed', reason: 'Session reached a terminal turn.', node_id: event.node };
    case 'join_ready':
      return { kind: 'join_ready', reason: 'Join dependencies completed.', node_id: event.node };
    case 'node_failed':
    case 'compensation_failed':
      return { kind: 'error', reason: event.error.message, node_id: event.node };
    default:
      return undefined;
  }
}

/** What a record means in the log; nothing for those that only the workflow itself needs. */
function toldOf(event: WorkflowEvent): Told | undefined {
  if ('node' in event) return nodeTold(event);
  switch (event.type) {
    case 'workflow_started':
      return { kind: 'created' };
    case 'workflow_resumed':
      return { kind: 'resumed' };
    case 'workflow_interrupted':
      return { kind: 'suspended', reason: event.reason };
    case 'workflow_failed':
      return { kind: 'error', reason: event.error.message, node_id: event.nodeId };
    case 'workflow_completed':
      return { kind: 'completed' };
    case 'workflow_canceled':
      return { kind: 'canceled', reason: event.reason };
    default:
      return undefined;
  }
}

const PAGE = 200;

export async function continuationsOf(store: Store, chain: ChainKey): Promise<Continuation[]> {
  const log: Continuation[] = [];
  for (let from = 1; ; from += PAGE) {
    const page = await store.read(chain, from, PAGE);
    for (const record of page) {
      const { type, at, evidence } = readable(record);
      const told = toldOf(eventOf(type, evidence));
      if (told !== undefined) log.push({ sequence: log.length + 1, timestamp: isoTime(at), ...told });
    }
    if (page.length < PAGE) return log;
  }
}
