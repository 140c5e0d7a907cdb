// Owns how rows and records look to a reader: snake case, ISO times, redacted values only. Pure.
import { isoTime } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { ERASED_TYPE } from '../store/contract.ts';
import type { StoredRecord, StoredRow } from '../store/contract.ts';
import { approvalEventView } from './approval-view.ts';
import { attemptsView } from './attempts.ts';
import { capabilityEventView } from './capability-event-view.ts';
import { executionPath } from './execution-path.ts';

const ENDED_TURNS: ReadonlySet<string> = new Set(['turn_completed', 'turn_failed']);

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

function payloadOf({ header, evidence }: StoredRecord): JsonObject {
  if (evidence.state !== 'present') return { payload: evidence.state };
  if (header.type === ERASED_TYPE) return evidence.value; // the same on every chain
  const { aggregate } = header.chain;
  if (aggregate === 'approval') return approvalEventView(evidence.value);
  if (aggregate === 'capability_session') return capabilityEventView(evidence.value);
  if (header.type === 'call_finished') {
    const attempts = attemptsView(evidence.value, header.at);
    return attempts === undefined ? evidence.value : { ...evidence.value, attempts };
  }
  const path = ENDED_TURNS.has(header.type) ? executionPath(evidence.value) : undefined;
  return path === undefined ? evidence.value : { ...evidence.value, execution_path: path };
}

/** One record as a line of a timeline. What the header says no payload can say otherwise. */
export function recordView(record: StoredRecord): JsonObject {
  const { header } = record;
  const own: JsonObject = {
    seq: header.seq,
    at: isoTime(header.at),
    type: header.type,
    chain: `${header.chain.aggregate}/${header.chain.id}`,
    hash: record.hash,
  };
  return { ...own, ...payloadOf(record), ...own };
}

/** Every rule that spoke, what decided first. A record holds the list only where there was more than one. */
function decisionList({ decisions, aliases, rule_id, layer, decision, reasons }: JsonObject): JsonValue {
  if (Array.isArray(decisions)) return decisions;
  const [id] = (aliases ?? []) as string[];
  const [reason] = (reasons ?? []) as string[];
  return [
    {
      policy_id: id ?? rule_id ?? null,
      rule_id: rule_id ?? null,
      layer: layer ?? null,
      decision: decision ?? null,
      reason: reason ?? '',
    },
  ];
}

function decisionView(line: JsonObject): JsonObject {
  return {
    seq: line.seq ?? null,
    call_id: line.call_id ?? null,
    tool: line.tool ?? null,
    decision: line.decision ?? null,
    rule_id: line.rule_id ?? null,
    layer: line.layer ?? null,
    reasons: line.reasons ?? [],
    policy_digest: line.policy_digest ?? null,
    decisions: decisionList(line),
  };
}

export function receiptIn(line: JsonObject): JsonObject | undefined {
  if (typeof line.receipt_id !== 'string') return undefined;
  return {
    receipt_id: line.receipt_id,
    type: line.type ?? null,
    at: line.at ?? null,
    tool: line.tool ?? null,
    side_effect_status: line.side_effect_status ?? null,
  };
}

/** The calls that a turn asked for and that were refused there: no other record tells of them. */
export function refusedIn({ requested_tools: asked }: JsonObject): JsonObject[] {
  if (!Array.isArray(asked)) return [];
  return asked.filter((one): one is JsonObject => isObject(one) && typeof one.refused === 'string');
}

/** What a line has decided: of its own call, or of calls that were refused as they were asked for. */
export function decisionsIn(line: JsonObject): JsonObject[] {
  const own = typeof line.decision === 'string' ? [line] : [];
  const { seq = null } = line;
  const refused = refusedIn(line).map((one) => ({ ...one, seq, call_id: one.tool_call_id ?? null }));
  return [...own, ...refused].map(decisionView);
}
