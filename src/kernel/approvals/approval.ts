// Owns the two unions of an approval: one attempt to show it (Delivery), and the approval itself, with its one
// transition function. Who may answer is approver.ts; storage is approvals.ts.
//
// A1  Only a Delivery `answered` moves an approval; every other delivery is recorded and leaves it pending.
// A2  An approval is consumed at most once, and only from `approved` before `useBy`.
// A3  No state but `pending` can become `approved`.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Attestation, Risk } from '../../config/types.ts';
import type { Delegation } from '../identity.ts';

/** One attempt on one channel. Latency is from showing to answering, milliseconds. */
export type Delivery =
  | { kind: 'answered'; decision: 'approve' | 'reject'; note?: string; latencyMs: number }
  | { kind: 'declined_by_client'; latencyMs: number }
  | {
      kind: 'not_shown';
      why: 'no_capability' | 'canceled' | 'error' | 'too_fast' | 'malformed';
      latencyMs: number;
    }
  | { kind: 'timed_out'; latencyMs: number }
  | { kind: 'withdrawn'; latencyMs: number };

export type Channel = 'elicitation' | 'url' | 'terminal' | 'console' | 'tool';

/** Who answered, as proven by the channel. */
export interface Answerer {
  tenant: string;
  principal: string;
  roles: readonly string[];
  attestation: Attestation;
  channel: Channel;
  /** Label only. */
  clientName?: string;
}

export interface RecordedDelivery {
  delivery: Delivery;
  channel: Channel;
  /** The client connection that was asked; the same digest is not put to it again. */
  actor?: string;
  /** Why an answer did not move the approval. */
  insufficient?: string;
  at: EpochMs;
}

/** What an approval is about; fixed when it is opened. */
export interface ApprovalSubject {
  approvalId: string;
  tenant: string;
  /** On whose behalf the call would run. */
  principal: string;
  actor: string;
  agentId: string;
  /** As whom the tool would act, and as whom the agent runs. Records of older versions lack both. */
  toolPrincipal?: string;
  runtimePrincipal?: string;
  delegation: Delegation;
  idempotencyKey?: string;
  sessionId: string;
  runId: string;
  traceId: string;
  callId: string;
  tool: string;
  capability: string;
  risk: Risk;
  /** The stateful connection that the call would go through; it moves with this approval. */
  capabilitySessionId?: string;
  /** Digest of exactly what would run. */
  actionDigest: string;
  policyDigest: string;
  reasons: string[];
  ruleId: string;
  approver: string;
  requiredAttestation: Attestation;
  rememberable: boolean;
  requestedAt: EpochMs;
  answerBy: EpochMs;
  /** Unanswered for longer, it is overdue. Records of older versions lack it. */
  overdueAt?: EpochMs;
  /** How long an approval may wait for its use, milliseconds. */
  useWithinMs: number;
  /** Redacted, for lists and evidence; the exact ones are sealed. */
  arguments: JsonObject;
  /** Digest of the text that is shown. */
  shownDigest: string;
}

interface Base {
  subject: ApprovalSubject;
  deliveries: RecordedDelivery[];
}

interface Answered extends Base {
  by: Answerer;
  answeredAt: EpochMs;
  note?: string;
}

/** An approval, by what became of it. Times are milliseconds since 1970. `consumed`: its one call has begun. */
export type Approval =
  | (Base & { state: 'pending' })
  | (Answered & { state: 'approved'; useBy: EpochMs; bindingDigest: string })
  | (Answered & { state: 'rejected' })
  | (Base & { state: 'expired'; expiredAt: EpochMs; was: 'pending' | 'approved' })
  | (Base & { state: 'revoked'; revokedAt: EpochMs; reason: string })
  | (Answered & { state: 'consumed'; consumedAt: EpochMs; bindingDigest: string; callId: string });

export type ApprovalState = Approval['state'];

export type ApprovalEvent =
  | { type: 'approval_requested'; subject: ApprovalSubject }
  | { type: 'approval_delivered'; delivery: RecordedDelivery }
  | {
      type: 'approval_approved';
      by: Answerer;
      note?: string;
      at: EpochMs;
      useBy: EpochMs;
      bindingDigest: string;
    }
  | { type: 'approval_rejected'; by: Answerer; note?: string; at: EpochMs }
  | { type: 'approval_expired'; at: EpochMs }
  | { type: 'approval_revoked'; at: EpochMs; reason: string }
  | { type: 'approval_consumed'; at: EpochMs; callId: string };
