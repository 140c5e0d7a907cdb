// Owns how an approval, its deliveries, its answer and the events of its chain look to a reader: snake case, ISO times,
// redacted values only. Pure.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { joinReasons } from '../base/text.ts';
import type { Answerer, ApprovalSubject, RecordedDelivery } from '../kernel/approvals/approval.ts';
import { answerPlaces } from '../kernel/approvals/approver.ts';
import type { StoredRow } from '../store/contract.ts';
import { effectiveStatus } from './effective.ts';
import { given, timeOf } from './given.ts';

interface ApprovalBody {
  subject: ApprovalSubject;
  deliveries: JsonObject[];
  by?: Answerer;
  note?: string;
  use_by?: number;
}

/** What the approval is about. Fields that records of older versions lack are left out. */
function subjectView(subject: ApprovalSubject): JsonObject {
  const { delegation } = subject;
  return given({
    tool: subject.tool,
    capability_name: subject.capability,
    risk: subject.risk,
    arguments: subject.arguments,
    reason: joinReasons(subject.reasons),
    rule_id: subject.ruleId,
    reviewer: subject.approver,
    required_attestation: subject.requiredAttestation,
    requested_by: subject.actor,
    agent_id: subject.agentId,
    principal_id: subject.principal,
    tenant_id: subject.tenant,
    session_id: subject.sessionId,
    run_id: subject.runId,
    trace_id: subject.traceId,
    tool_call_id: subject.callId,
    tool_principal: subject.toolPrincipal,
    runtime_principal: subject.runtimePrincipal,
    authorization_mode: delegation.mode,
    delegated_principal_id: delegation.delegatedPrincipalId,
    delegated_scope: delegation.delegatedScope,
    idempotency_key: subject.idempotencyKey,
    action_digest: subject.actionDigest,
    policy_digest: subject.policyDigest,
    shown_digest: subject.shownDigest,
    requested_at: timeOf(subject.requestedAt),
    answer_by: timeOf(subject.answerBy),
    overdue_at: timeOf(subject.overdueAt),
  });
}

function answererView(by: Answerer): JsonObject {
  return given({
    tenant_id: by.tenant,
    principal_id: by.principal,
    roles: [...by.roles],
    attestation: by.attestation,
    channel: by.channel,
    client_name: by.clientName,
  });
}

/** As the row keeps it: flat, with the time as a number. */
function deliveryView(made: JsonObject): JsonObject {
  return given({ ...made, at: timeOf(made.at) });
}

function recordedDeliveryView({ delivery, channel, actor, insufficient }: RecordedDelivery): JsonObject {
  return given({
    channel,
    kind: delivery.kind,
    actor_id: actor,
    answer: delivery.kind === 'answered' ? delivery.decision : undefined,
    note: delivery.kind === 'answered' ? delivery.note : undefined,
    why: delivery.kind === 'not_shown' ? delivery.why : insufficient,
    latency_ms: delivery.latencyMs,
  });
}

/** The payload of a record of an approval's chain; the record's own header says when and of what type. */
export function approvalEventView(payload: JsonObject): JsonObject {
  const { subject, delivery, by, useBy, bindingDigest, callId, reason, note } = payload;
  return given({
    ...(isObject(subject) ? subjectView(subject as unknown as ApprovalSubject) : {}),
    ...(isObject(delivery) ? recordedDeliveryView(delivery as unknown as RecordedDelivery) : {}),
    answered_by: isObject(by) ? answererView(by as unknown as Answerer) : undefined,
    use_by: timeOf(useBy),
    binding_digest: bindingDigest,
    call_id: callId,
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof note === 'string' ? { resolution_note: note } : {}),
  });
}

/** As it is at `now`. */
export function approvalView(row: StoredRow, now: EpochMs): JsonObject {
  const body = row.body as unknown as ApprovalBody;
  const status = effectiveStatus(row, now);
  return given({
    approval_id: row.id,
    status,
    ...subjectView(body.subject),
    overdue: status === 'pending' && now >= (body.subject.overdueAt ?? Infinity) ? true : undefined,
    use_by: timeOf(body.use_by),
    answered_by: body.by === undefined ? undefined : answererView(body.by),
    resolution_note: body.note,
    deliveries: body.deliveries.map(deliveryView),
    erased_at: row.body.erased_at,
    answer_at: status === 'pending' ? answerPlaces(body.subject) : [],
    updated_at: isoTime(row.updatedAt),
  });
}
