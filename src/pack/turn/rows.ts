// Owns the read-model rows of a session and its runs, as lists and inspection show them.
import type { EpochMs } from '../../base/clock.ts';
import { isoTime } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { RunContext } from '../../kernel/identity.ts';
import type { RowWrite } from '../../store/contract.ts';
import { isOver } from '../managed/state.ts';
import type { ManagedState } from '../managed/state.ts';
import { factsShown } from '../sessions/session-events.ts';
import type { RequestedCall, SessionFacts } from '../sessions/session.ts';

export type RunStatus =
  | 'queued'
  | 'in_progress'
  | 'success'
  | 'waiting_for_approval'
  | 'blocked_on_reconciliation'
  | 'denied'
  | 'failed'
  | 'canceled';

interface Placed {
  facts: SessionFacts;
  context: RunContext;
  held?: { state: { callCount: number; managed?: ManagedState } } | undefined;
}

export interface SessionProgress {
  status: 'open' | 'escalated' | 'closed' | 'canceled';
  turnCount: number;
  lastStatus: string;
  runStatus: RunStatus;
}

export function sessionRow(turn: Placed, progress: SessionProgress, at: EpochMs): RowWrite {
  const { facts, context } = turn;
  const { status, shown: more } = managedRow(turn.held?.state.managed, progress);
  const body: JsonObject = {
    run_id: context.runId,
    trace_id: context.traceId,
    run_status: progress.runStatus,
    turn_count: progress.turnCount,
    tool_call_count: turn.held?.state.callCount ?? 0,
    last_turn_status: progress.lastStatus,
    started_at: isoTime(facts.startedAt),
    ...factsShown(facts),
    ...more,
  };
  const { tenant, principal, id } = facts;
  return { row: { kind: 'session', tenant, id, principal, status, updatedAt: at, body } };
}

/** A managed session is listed by its own status, which is `active` for as long as a run of it is under way. */
function managedRow(
  managed: ManagedState | undefined,
  progress: SessionProgress,
): { status: string; shown: JsonObject } {
  if (managed === undefined) return { status: progress.status, shown: {} };
  const isEndedByHost = progress.status === 'closed' && managed.status !== 'active' && !isOver(managed);
  const shown: JsonObject = {
    managed: true,
    invocations: managed.invocations,
    ...(managed.facts.parent === undefined ? {} : { parent: { ...managed.facts.parent } }),
    ...(managed.facts.expiresAt === undefined ? {} : { expires_at: isoTime(managed.facts.expiresAt) }),
    ...('reason' in managed ? { reason: managed.reason } : {}),
    ...(managed.status === 'waiting_approval' ? { pending_request_id: managed.requestId } : {}),
    ...(managed.status === 'error' ? { error: { ...managed.error } } : {}),
  };
  return { status: isEndedByHost ? 'completed' : managed.status, shown };
}

/** The request row of a call that is over without the kernel: its id is taken, in the kernel's own form (E2). */
export function closedCallRow(
  facts: SessionFacts,
  call: Pick<RequestedCall, 'id' | 'tool' | 'runId' | 'traceId'>,
  how: { by: 'host' | 'nobody'; reason: string; policyDigest: string; sideEffect: string; at: EpochMs },
  when: RowWrite['when'],
): RowWrite {
  const { tenant, principal, id: ref } = facts;
  const body: JsonObject = {
    kind: 'call',
    tool: call.tool,
    session_id: ref,
    run_id: call.runId,
    trace_id: call.traceId,
    decision: {
      decision: 'deny',
      rule_id: 'run_precheck',
      layer: 'session',
      policy_digest: how.policyDigest,
      reasons: [how.reason],
    },
    started_at: how.at,
    start_seq: 0,
    instance: '',
    side_effect_status: how.sideEffect,
    closed_by: how.by,
  };
  const row = { kind: 'request' as const, tenant, id: call.id, principal, status: 'canceled', ref };
  return { row: { updatedAt: how.at, body, ...row }, when: when ?? 'any' };
}

export function runRow(turn: Placed, status: RunStatus, more: JsonObject, at: EpochMs): RowWrite {
  const { facts, context } = turn;
  return {
    row: {
      kind: 'run',
      tenant: facts.tenant,
      id: context.runId,
      principal: facts.principal,
      status,
      ref: facts.id,
      updatedAt: at,
      body: Object.assign(contextFacts(context), more),
    },
  };
}
