// Owns the pack's record types: which exist, and how their payloads are read without trusting their shape.
import type { JsonObject, JsonValue } from '../base/json.ts';
import type { Decision } from '../kernel/policy/decision.ts';
import type { DecisionView } from './turn/contract.ts';

/** Every type that the pack appends; manifests and readers take it from here. */
export const PACK_RECORDS = [
  'session_started',
  'turn_started',
  'turn_completed',
  'turn_failed',
  'turn_refused',
  'session_closed',
  'item_opened',
  'session_admitted',
  'invocation_started',
  'invocation_ended',
  'call_settled',
  'session_canceled',
  'session_expired',
] as const;

/** The one task type; wake-ups, resumed sessions and branches all run as it. */
export const TASK_TYPE = 'agent-session';

export function textAt(payload: JsonObject, key: string): string | undefined {
  const value = payload[key];
  return typeof value === 'string' ? value : undefined;
}

export function numberAt(payload: JsonObject, key: string): number | undefined {
  const value = payload[key];
  return typeof value === 'number' ? value : undefined;
}

function isObjectValue(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectAt(payload: JsonObject, key: string): JsonObject {
  const value = payload[key];
  return isObjectValue(value) ? value : {};
}

export function objectsAt(payload: JsonObject, key: string): JsonObject[] {
  const value = payload[key];
  return Array.isArray(value) ? value.filter(isObjectValue) : [];
}

/** A decision as the wire shows it. */
export function decisionView(decision: Decision): DecisionView {
  return {
    decision: decision.verdict,
    rule_id: decision.ruleId,
    layer: decision.layer,
    reasons: decision.reasons,
    policy_digest: decision.policyDigest,
    ...(decision.verdict === 'deny' && decision.onDeny === 'end_run' ? { on_deny: 'end_run' as const } : {}),
  };
}
