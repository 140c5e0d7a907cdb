// Owns the kernel's records: which types exist and what each one's evidence holds. The one list that manifests and
// readers use.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { cutTo } from '../../base/text.ts';
import type { SideEffect } from '../execution/executor.ts';
import type { Redactor } from './redact.ts';
import type { Decision, Verdicted } from '../policy/decision.ts';
import type { RunContext } from '../identity.ts';

export const KERNEL_RECORDS = [
  'call_started',
  'call_finished',
  'call_denied',
  'call_waiting',
  'call_replayed',
  'approval_requested',
  'approval_delivered',
  'approval_approved',
  'approval_rejected',
  'approval_expired',
  'approval_revoked',
  'approval_consumed',
  'payload_erased',
] as const;

/** What a call came to, in one of seven words; its status says besides how it was answered. */
export const OUTCOMES = [
  'success',
  'approval_required',
  'permission_denied',
  'validation_failure',
  'retryable_failure',
  'side_effect_unknown',
  'partial_side_effect',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Of a call that was denied: its arguments do not fit, or it may not be. */
export function denialOutcome({ ruleId }: Pick<Decision, 'ruleId'>): Outcome {
  return ruleId === 'arg_schema' ? 'validation_failure' : 'permission_denied';
}

/** One try of a call; a call that was never retried has one. */
export interface Attempt {
  attempt: number; // 1-based
  outcome: 'success' | 'transient_failure' | 'exhausted' | 'failed';
  started_at: EpochMs;
  ended_at: EpochMs;
  backoff_ms: number;
  error_class?: string;
  error_message?: string;
  /** Of what an executor threw, which it must not. */
  exception_class?: string;
}

/** The identity block of every record of a run. */
export function contextFacts(context: RunContext): JsonObject {
  const { caller, delegation } = context;
  return {
    run_id: context.runId,
    trace_id: context.traceId,
    session_id: context.sessionId,
    task_type: context.taskType,
    tenant_id: caller.tenant,
    principal_id: caller.principal,
    actor_id: caller.actor,
    agent_id: context.agentId,
    authorization_mode: delegation.mode,
    delegated_principal_id: delegation.delegatedPrincipalId,
    delegated_scope: delegation.delegatedScope,
    ...(context.externalRunId === undefined ? {} : { external_run_id: context.externalRunId }),
  };
}

/** The decision as evidence: what was decided, by which rule and layer, under which policy. */
export function decisionFacts(decision: Decision): JsonObject {
  return {
    decision: decision.verdict,
    rule_id: decision.ruleId,
    layer: decision.layer,
    policy_digest: decision.policyDigest,
    ...(decision.reasons.length > 0 ? { reasons: decision.reasons } : {}),
    ...(decision.aliases.length > 0 ? { aliases: decision.aliases } : {}),
    ...(Object.keys(decision.attributes).length > 0 ? { attributes: decision.attributes } : {}),
    ...(decision.verdict === 'allow' ? {} : { on_deny: decision.onDeny }),
  };
}

/** One rule of a decision; `policy_id` is the most particular id that it has. */
function said({
  verdict,
  ruleId,
  layer,
  reason,
  aliases,
}: Pick<Verdicted, 'verdict' | 'ruleId' | 'layer' | 'reason' | 'aliases'>): JsonObject {
  return { policy_id: aliases[0] ?? ruleId, rule_id: ruleId, layer, decision: verdict, reason };
}

/**
 * Everything that spoke against a call that just runs, what decided first. Absent where one rule alone spoke, as in most
 * calls: then the decision's own keys are that list.
 */
export function decisionsOf(decision: Decision): { decisions?: JsonObject[] } {
  const { verdict, ruleId, reasons, aliases, others } = decision;
  const [reason = ''] = reasons;
  // What decided may not be among them: a budget that was used up at the commit, a person who said no.
  const rest = others.filter(
    (one) =>
      one.verdict !== verdict ||
      one.ruleId !== ruleId ||
      one.reason !== reason ||
      one.aliases[0] !== aliases[0],
  );
  return rest.length === 0 ? {} : { decisions: [said({ ...decision, reason }), ...rest.map(said)] };
}

/** The decision of a record. */
export function decidedFacts(decision: Decision): JsonObject {
  return { ...decisionFacts(decision), ...decisionsOf(decision) };
}

/** What a finished call leaves behind. */
export interface OutcomeFacts {
  outcome: Outcome;
  sideEffect: SideEffect;
  durationMs: number;
  attempts: Attempt[];
  notes: string[];
  confinement: JsonObject;
}

function attemptFacts(made: Attempt, redactor: Redactor): JsonObject {
  const { error_message: message, ...rest } = made;
  // Redacted before it is cut: a cut secret is no longer recognized.
  return {
    ...(message === undefined ? {} : { error_message: cutTo(redactor.text(message), 300) }),
    ...rest,
  };
}

export function outcomeFacts(facts: OutcomeFacts, redactor: Redactor): JsonObject {
  return {
    outcome: facts.outcome,
    side_effect_status: facts.sideEffect,
    duration_ms: Math.round(facts.durationMs * 1000) / 1000,
    ...(facts.attempts.length > 1 || facts.attempts.some((made) => made.outcome !== 'success')
      ? { attempts: facts.attempts.map((made) => attemptFacts(made, redactor)) }
      : {}),
    confinement: facts.confinement,
    ...(facts.notes.length > 0 ? { notes: facts.notes.map((note) => redactor.text(note)) } : {}),
  };
}
