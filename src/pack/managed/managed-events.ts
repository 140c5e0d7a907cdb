// Owns the step between a managed session's records and the events that fold: evidence out, event in, side by side, so
// that the two cannot differ.
import type { JsonObject } from '../../base/json.ts';
import type { LoopError } from '../loop/client-port.ts';
import { numberAt, objectAt, textAt } from '../records.ts';
import type { ManagedParent } from './contract.ts';
import type { Ending, ManagedEvent, ManagedFacts, SuspendedWhy } from './state.ts';

export function admittedEvidence(as: 'queued' | 'active', facts: Omit<ManagedFacts, 'inputSeq'>): JsonObject {
  return {
    as,
    ...(facts.parent === undefined ? {} : { parent: { ...facts.parent } }),
    ...(facts.expiresAt === undefined ? {} : { expires_at: facts.expiresAt }),
  };
}

export function endingEvidence(ending: Ending): JsonObject {
  switch (ending.as) {
    case 'suspended': {
      const { why, reason, callId } = ending;
      return { outcome: 'suspended', why, reason, ...(callId === undefined ? {} : { tool_call_id: callId }) };
    }
    case 'waiting_approval':
      return {
        outcome: 'waiting_approval',
        request_id: ending.requestId,
        tool_call_id: ending.callId,
        reason: 'Waiting for approval-driven continuation.',
      };
    case 'completed':
      return { outcome: 'completed', reason: 'Session reached a terminal turn.' };
    case 'error':
      return {
        outcome: 'error',
        stage: ending.stage,
        error: { ...ending.error },
        reason: ending.error.message,
      };
  }
}

const WHYS: ReadonlySet<string> = new Set<SuspendedWhy>([
  'budget',
  'reply',
  'escalated',
  'reconcile',
  'busy',
  'stopped',
  'interrupted',
]);

function suspended(evidence: JsonObject): Ending {
  const why = textAt(evidence, 'why') ?? '';
  const callId = textAt(evidence, 'tool_call_id');
  return {
    as: 'suspended',
    why: WHYS.has(why) ? (why as SuspendedWhy) : 'stopped',
    reason: textAt(evidence, 'reason') ?? '',
    ...(callId === undefined ? {} : { callId }),
  };
}

export function endingOf(evidence: JsonObject): Ending {
  switch (textAt(evidence, 'outcome')) {
    case 'waiting_approval':
      return {
        as: 'waiting_approval',
        requestId: textAt(evidence, 'request_id') ?? '',
        callId: textAt(evidence, 'tool_call_id') ?? '',
      };
    case 'completed':
      return { as: 'completed' };
    case 'error': {
      const stage = textAt(evidence, 'stage');
      const shown = objectAt(evidence, 'error');
      const error = { code: textAt(shown, 'code') ?? 'INTERNAL', message: textAt(shown, 'message') ?? '' };
      return {
        as: 'error',
        stage: stage === 'execute_turn' || stage === 'call_tool' ? stage : 'session',
        error: error as LoopError,
      };
    }
    default:
      return suspended(evidence);
  }
}

function parentOf(evidence: JsonObject): ManagedParent | undefined {
  const shown = objectAt(evidence, 'parent');
  const workflow = textAt(shown, 'workflow_id');
  const node = textAt(shown, 'node_id');
  if (workflow === undefined || node === undefined) return undefined;
  return {
    workflow_id: workflow,
    node_id: node,
    attempt: numberAt(shown, 'attempt') ?? 1,
    iteration: numberAt(shown, 'iteration') ?? 1,
  };
}

function admitted(evidence: JsonObject, seq: number): ManagedEvent {
  const parent = parentOf(evidence);
  const expiresAt = numberAt(evidence, 'expires_at');
  return {
    type: 'session_admitted',
    as: textAt(evidence, 'as') === 'queued' ? 'queued' : 'active',
    facts: {
      inputSeq: seq,
      ...(parent === undefined ? {} : { parent }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    },
  };
}

function started(evidence: JsonObject, seq: number): ManagedEvent {
  const accepted = Array.isArray(evidence.accepted_unknown) ? evidence.accepted_unknown : [];
  return {
    type: 'invocation_started',
    invocation: {
      number: numberAt(evidence, 'invocation') ?? 0,
      instance: textAt(evidence, 'instance') ?? '',
    },
    ...((numberAt(evidence, 'message_count') ?? 0) > 0 ? { messagesAt: seq } : {}),
    accepted: accepted.filter((one) => typeof one === 'string'),
  };
}

/** The managed event that a record of this type means; undefined for every other record. */
export function managedEventOf(type: string, evidence: JsonObject, seq: number): ManagedEvent | undefined {
  switch (type) {
    case 'session_admitted':
      return admitted(evidence, seq);
    case 'invocation_started':
      return started(evidence, seq);
    case 'invocation_ended':
      return { type, number: numberAt(evidence, 'invocation') ?? 0, ending: endingOf(evidence) };
    case 'session_canceled':
    case 'session_expired':
      return { type, reason: textAt(evidence, 'reason') ?? '' };
    default:
      return undefined;
  }
}
