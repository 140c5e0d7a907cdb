// Owns the step from a record of a session's chain to the event that folds. The same reading serves records from the
// store and those just committed, so the two cannot differ.
import type { EpochMs } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { AuthorizationMode } from '../../kernel/identity.ts';
import type { StoredRecord } from '../../store/contract.ts';
import { managedEventOf } from '../managed/managed-events.ts';
import { numberAt, objectAt, objectsAt, textAt } from '../records.ts';
import type { CallState, SessionEvent, SessionFacts } from './session.ts';

export interface ReadableRecord {
  type: string;
  seq: number;
  at: EpochMs;
  /** undefined once erased. */
  evidence: JsonObject | undefined;
}

interface Place {
  seq: number;
  at: EpochMs;
}

export function readable(record: StoredRecord): ReadableRecord {
  const { header, evidence } = record;
  return {
    type: header.type,
    seq: header.seq,
    at: header.at,
    evidence: evidence.state === 'present' ? evidence.value : undefined,
  };
}

/** What a session is bound to, beside which one it is and whose. */
export function factsShown(facts: SessionFacts): JsonObject {
  return {
    kind: facts.kind,
    actor_id: facts.actor,
    agent_id: facts.agentId,
    lane: facts.lane,
    task_type: facts.task,
    ...(facts.intent === undefined ? {} : { intent: facts.intent }),
    limits: {
      max_turns_per_session: facts.limits.turns,
      max_tool_calls_per_session: facts.limits.toolCalls,
      max_input_bytes: facts.limits.inputBytes,
    },
    authorization_mode: facts.delegation.mode,
    delegated_principal_id: facts.delegation.delegatedPrincipalId,
    delegated_scope: facts.delegation.delegatedScope,
  };
}

export function factsToEvidence(facts: SessionFacts): JsonObject {
  const { id, tenant, principal, line } = facts;
  const follows = line === undefined ? {} : { line_id: line };
  return { session_id: id, tenant_id: tenant, principal_id: principal, ...follows, ...factsShown(facts) };
}

function factsOf(evidence: JsonObject, at: EpochMs): SessionFacts {
  const text = (key: string): string => textAt(evidence, key) ?? '';
  const limits = objectAt(evidence, 'limits');
  const limit = (key: string): number => numberAt(limits, key) ?? 0;
  const intent = textAt(evidence, 'intent');
  const line = textAt(evidence, 'line_id');
  return {
    id: text('session_id'),
    kind: text('kind') === 'default' ? 'default' : 'agent',
    tenant: text('tenant_id'),
    principal: text('principal_id'),
    actor: text('actor_id'),
    agentId: text('agent_id'),
    lane: text('lane'),
    task: text('task_type'),
    ...(intent === undefined ? {} : { intent }),
    limits: {
      turns: limit('max_turns_per_session'),
      toolCalls: limit('max_tool_calls_per_session'),
      inputBytes: limit('max_input_bytes'),
    },
    delegation: {
      mode: (textAt(evidence, 'authorization_mode') ?? 'platform_owned') as AuthorizationMode,
      delegatedPrincipalId: text('delegated_principal_id'),
      delegatedScope: text('delegated_scope'),
    },
    startedAt: at,
    ...(line === undefined ? {} : { line }),
  };
}

function turnStarted(
  evidence: JsonObject,
  { seq, at }: Place,
): Extract<SessionEvent, { type: 'turn_started' }> {
  return {
    type: 'turn_started',
    seq,
    at,
    turn: {
      turnIndex: numberAt(evidence, 'turn_index') ?? 0,
      runId: textAt(evidence, 'run_id') ?? '',
      traceId: textAt(evidence, 'trace_id') ?? '',
      instance: textAt(evidence, 'instance') ?? '',
      deadlineAt: numberAt(evidence, 'deadline_at') ?? 0,
    },
    isNewRun: evidence.run_started === true,
    hasUserMessage: evidence.has_user_message === true,
    told: objectsAt(evidence, 'told').map((one) => {
      const closedBy = textAt(one, 'closed_by');
      return {
        callId: textAt(one, 'tool_call_id') ?? '',
        as: textAt(one, 'as') === 'interim' ? 'interim' : 'outcome',
        ...(closedBy === 'host' || closedBy === 'nobody' ? { closedBy } : {}),
      };
    }),
  };
}

type CompletedStatus = Extract<SessionEvent, { type: 'turn_completed' }>['status'];
const STATUSES: ReadonlySet<string> = new Set(['reply', 'tool_request', 'complete', 'escalate']);

function requestedState(shown: JsonObject): CallState {
  const code = textAt(shown, 'refused');
  if (code === undefined) return { at: 'requested' };
  const refused = { at: 'refused' as const, code: code as ErrorCode };
  return shown.on_deny === 'end_run' ? { ...refused, endsRun: true } : refused;
}

function turnCompleted(
  evidence: JsonObject,
  { seq, at }: Place,
): Extract<SessionEvent, { type: 'turn_completed' }> {
  const status = textAt(evidence, 'status') ?? '';
  const intent = textAt(evidence, 'session_intent');
  return {
    type: 'turn_completed',
    seq,
    at,
    status: STATUSES.has(status) ? (status as CompletedStatus) : 'reply',
    turnIndex: numberAt(evidence, 'turn_index') ?? 0,
    calls: objectsAt(evidence, 'requested_tools').map((one) => ({
      id: textAt(one, 'tool_call_id') ?? '',
      tool: textAt(one, 'tool') ?? '',
      runId: textAt(evidence, 'run_id') ?? '',
      traceId: textAt(evidence, 'trace_id') ?? '',
      ...(intent === undefined ? {} : { intent }),
      state: requestedState(one),
    })),
  };
}

/** A lost read is no unknown effect: the model is told and may ask again. */
function isUnknown(evidence: JsonObject): boolean {
  return textAt(evidence, 'status') === 'unknown' && evidence.side_effect_status !== 'not_executed';
}

function callEvent(type: string, evidence: JsonObject, place: Place): SessionEvent {
  const callId = textAt(evidence, 'call_id') ?? '';
  switch (type) {
    case 'call_started':
    case 'call_replayed':
      return { type, callId, ...place };
    case 'call_finished': {
      const ends = evidence.on_failure === 'end_run' ? { endsRun: true as const } : {};
      return { type, callId, ...place, ...(isUnknown(evidence) ? { unknown: true } : {}), ...ends };
    }
    case 'call_settled':
      return { type, callId, ...place, ...(isUnknown(evidence) ? { unknown: true } : {}) };
    case 'call_denied':
      return { type, callId, ...place, ...(evidence.on_deny === 'end_run' ? { endsRun: true } : {}) };
    case 'call_waiting':
      return { type, callId, approvalId: textAt(evidence, 'approval_id') ?? '', ...place };
    default:
      return managed(type, evidence, place);
  }
}

function managed(type: string, evidence: JsonObject, place: Place): SessionEvent {
  const event = managedEventOf(type, evidence, place.seq);
  if (event === undefined) return { type: 'passed', ...place };
  const closed = Array.isArray(evidence.closed_calls) ? evidence.closed_calls : [];
  const run = { runId: textAt(evidence, 'run_id') ?? '', traceId: textAt(evidence, 'trace_id') ?? '' };
  return {
    type: 'managed',
    event,
    ...place,
    closed: closed.filter((one) => typeof one === 'string'),
    ...(type === 'session_admitted' ? { run } : {}),
  };
}

function eventBody(record: ReadableRecord, evidence: JsonObject): SessionEvent {
  const place = { seq: record.seq, at: record.at };
  switch (record.type) {
    case 'session_started':
      return { type: 'session_started', facts: factsOf(evidence, record.at), ...place };
    case 'turn_started':
      return turnStarted(evidence, place);
    case 'turn_completed':
      return turnCompleted(evidence, place);
    case 'turn_failed':
      return { type: 'turn_failed', turnIndex: numberAt(evidence, 'turn_index'), ...place };
    case 'turn_refused':
      return {
        type: 'turn_refused',
        endedRun: evidence.run_ended === true ? textAt(evidence, 'run_id') : undefined,
        turnIndex: numberAt(evidence, 'turn_index'),
        ...place,
      };
    case 'session_closed':
      return { type: 'session_closed', finalStatus: textAt(evidence, 'status') ?? '', ...place };
    case 'item_opened':
      return { type: 'item_opened', itemId: textAt(evidence, 'item_id') ?? '', ...place };
    default:
      return callEvent(record.type, evidence, place);
  }
}

/** The event that a record means for its session. Total. */
export function eventOf(record: ReadableRecord): SessionEvent {
  return record.evidence === undefined
    ? { type: 'passed', seq: record.seq, at: record.at }
    : eventBody(record, record.evidence);
}
