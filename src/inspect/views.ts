// Owns how rows and records look to a reader: snake case, ISO times, redacted values only. Pure.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import type { ApprovalSubject } from '../kernel/approvals/approval.ts';
import { answerPlaces } from '../kernel/approvals/approver.ts';
import type { StoredRecord, StoredRow } from '../store/contract.ts';
import { effectiveStatus } from './effective.ts';

/** Internal keys of a request row that mean nothing to a reader. */
const INTERNAL: ReadonlySet<string> = new Set(['start_seq', 'instance', 'started_at']);

export function requestView(row: StoredRow): JsonObject {
  const shown = Object.entries(row.body).filter(([key]) => !INTERNAL.has(key));
  const { decision, started_at: startedAt } = row.body;
  return {
    request_id: row.id,
    status: row.status,
    ...Object.fromEntries(shown),
    rule_id: (decision as JsonObject | undefined)?.rule_id ?? null,
    started_at: typeof startedAt === 'number' ? isoTime(startedAt) : null,
    updated_at: isoTime(row.updatedAt),
    principal_id: row.principal,
  };
}

interface ApprovalBody {
  subject: ApprovalSubject;
  deliveries: JsonValue[];
  by?: JsonObject;
  note?: string;
  use_by?: number;
}

/** As it is at `now`. */
export function approvalView(row: StoredRow, now: EpochMs): JsonObject {
  const status = effectiveStatus(row, now);
  const body = row.body as unknown as ApprovalBody;
  const { subject } = body;
  return {
    approval_id: row.id,
    status,
    tool: subject.tool,
    capability_name: subject.capability,
    risk: subject.risk,
    arguments: subject.arguments,
    reason: subject.reasons.join('; '),
    rule_id: subject.ruleId,
    reviewer: subject.approver,
    required_attestation: subject.requiredAttestation,
    requested_by: subject.actor,
    principal_id: subject.principal,
    tenant_id: subject.tenant,
    session_id: subject.sessionId,
    run_id: subject.runId,
    trace_id: subject.traceId,
    tool_call_id: subject.callId,
    action_digest: subject.actionDigest,
    policy_digest: subject.policyDigest,
    requested_at: isoTime(subject.requestedAt),
    answer_by: isoTime(subject.answerBy),
    ...(body.use_by === undefined ? {} : { use_by: isoTime(body.use_by) }),
    deliveries: body.deliveries,
    ...(body.by === undefined ? {} : { answered_by: body.by }),
    ...(body.note === undefined ? {} : { resolution_note: body.note }),
    answer_at: status === 'pending' ? answerPlaces(subject) : [],
    updated_at: isoTime(row.updatedAt),
  };
}

export function sessionView(row: StoredRow): JsonObject {
  return {
    session_id: row.id,
    status: row.status,
    tenant_id: row.tenant,
    principal_id: row.principal,
    ...row.body,
    updated_at: isoTime(row.updatedAt),
  };
}

/** One record as a line of a timeline. */
export function recordView(record: StoredRecord): JsonObject {
  const { header } = record;
  const payload: JsonObject =
    record.evidence.state === 'present' ? record.evidence.value : { payload: record.evidence.state };
  return {
    seq: header.seq,
    at: isoTime(header.at),
    type: header.type,
    chain: `${header.chain.aggregate}/${header.chain.id}`,
    hash: record.hash,
    ...payload,
  };
}

/** The lines that carry a decision, and the lines that are receipts. */
export function split(timeline: JsonObject[]): { decisions: JsonObject[]; receipts: JsonObject[] } {
  const decisions = timeline
    .filter((line) => typeof line.decision === 'string')
    .map((line): JsonObject => ({
      seq: line.seq ?? null,
      tool: line.tool ?? null,
      decision: line.decision ?? null,
      rule_id: line.rule_id ?? null,
      layer: line.layer ?? null,
      reasons: line.reasons ?? [],
      policy_digest: line.policy_digest ?? null,
    }));
  const receipts = timeline
    .filter((line) => typeof line.receipt_id === 'string')
    .map((line): JsonObject => ({
      receipt_id: line.receipt_id ?? null,
      type: line.type ?? null,
      at: line.at ?? null,
      tool: line.tool ?? null,
      side_effect_status: line.side_effect_status ?? null,
    }));
  return { decisions, receipts };
}
