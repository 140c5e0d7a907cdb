// Owns the read-model rows of a session and its runs, as lists and inspection show them.
import type { EpochMs } from '../../base/clock.ts';
import { isoTime } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { RunContext } from '../../kernel/identity.ts';
import type { RowWrite } from '../../store/contract.ts';
import { factsToEvidence } from '../sessions/session-events.ts';
import type { SessionFacts } from '../sessions/session.ts';

export type RunStatus = 'in_progress' | 'success' | 'waiting_for_approval' | 'denied' | 'failed' | 'canceled';

interface Placed {
  facts: SessionFacts;
  context: RunContext;
  held?: { state: { callCount: number } } | undefined;
}

export interface SessionProgress {
  status: 'open' | 'escalated' | 'closed';
  turnCount: number;
  lastStatus: string;
  runStatus: RunStatus;
}

export function sessionRow(turn: Placed, progress: SessionProgress, at: EpochMs): RowWrite {
  const { facts, context } = turn;
  const { session_id: _id, tenant_id: _tenant, principal_id: _principal, ...shown } = factsToEvidence(facts);
  const body: JsonObject = {
    ...shown,
    run_id: context.runId,
    trace_id: context.traceId,
    run_status: progress.runStatus,
    turn_count: progress.turnCount,
    tool_call_count: turn.held?.state.callCount ?? 0,
    last_turn_status: progress.lastStatus,
    started_at: isoTime(facts.startedAt),
  };
  const { tenant, principal, id } = facts;
  return { row: { kind: 'session', tenant, id, principal, status: progress.status, updatedAt: at, body } };
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
      body: { ...contextFacts(context), ...more },
    },
  };
}
