// Owns how a capability session looks to a reader: what it is, for whom, what it waits for, how it ended and what goes on
// in its place. Pure.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import type { JsonObject } from '../base/json.ts';
import type { CapabilitySession, TokenMark } from '../capabilities/sessions/capability-session.ts';
import type { StoredRow } from '../store/contract.ts';

/** The token with which a call that did not run may still be asked for. */
export function offeredToken({ token }: CapabilitySession, now: EpochMs): TokenMark | undefined {
  return token !== undefined && token.until > now ? token : undefined;
}

function openFacts(session: CapabilitySession, token: TokenMark | undefined): JsonObject {
  return {
    expires_at: 'endedAt' in session ? null : isoTime(session.expiresAt),
    // The token itself was told once and is nowhere.
    resume_token: token?.digest ?? null,
    approval_state: session.approvalState,
    waits_for: [
      ...session.inputs.map((one): JsonObject => ({
        kind: 'input',
        id: one.inputId,
        mode: one.mode,
        tool_call_id: one.callId,
        run_id: one.runId,
        open_until: isoTime(one.openUntil),
      })),
      ...('endedAt' in session ? [] : session.approvals).map((id): JsonObject => ({ kind: 'approval', id })),
    ],
  };
}

/** Calls that did not run, and may be asked for again with the token that was told with their answer. */
function retryFacts(session: CapabilitySession, token: TokenMark | undefined): JsonObject {
  if ('endedAt' in session || token === undefined) return { must_retry: [] };
  return { must_retry: [token.callId], retry_until: isoTime(token.until) };
}

function endFacts(session: CapabilitySession): JsonObject {
  if (session.status === 'reinitialize_required') {
    return { cause: session.cause, lost_at: isoTime(session.lostAt), lost_inputs: session.lostInputs };
  }
  if (!('endedAt' in session)) return {};
  return {
    ended_at: isoTime(session.endedAt),
    reason: session.reason,
    ...(session.cause === undefined ? {} : { cause: session.cause }),
    ...(session.reinitializedAs === undefined ? {} : { reinitialized_as: session.reinitializedAs }),
  };
}

export function capabilitySessionView(row: StoredRow, now: EpochMs): JsonObject {
  const session = row.body as unknown as CapabilitySession;
  const token = offeredToken(session, now);
  const { subject, run } = session;
  return {
    capability_session_id: subject.id,
    capability_session_status: session.status,
    run_id: run.runId,
    trace_id: run.traceId,
    ...openFacts(session, token),
    owner: subject.owner,
    server: subject.server,
    transport: subject.transport,
    tenant_id: subject.tenant,
    principal_id: subject.principal,
    instance: subject.instance,
    opened_at: isoTime(subject.openedAt),
    updated_at: isoTime(row.updatedAt),
    ...(subject.reinitializedFrom === undefined ? {} : { reinitialized_from: subject.reinitializedFrom }),
    ...(subject.sandbox === undefined ? {} : { sandbox: subject.sandbox }),
    ...retryFacts(session, token),
    ...endFacts(session),
  };
}
