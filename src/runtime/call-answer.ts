// Owns how a governed call's result looks on the wire. Total over every status.
import { isoTime } from '../base/clock.ts';
import { ERRORS, RuntimeError } from '../base/errors.ts';
import type { ErrorCode, ErrorView } from '../base/errors.ts';
import { answerPlaces } from '../kernel/approvals/approver.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { CallResult, ToolOutcome } from '../kernel/call.ts';
import type { CallRequest } from '../kernel/call.ts';
import { decisionView } from '../pack/records.ts';
import type { Requested } from '../pack/index.ts';
import type { ApprovalTicket, CallAnswer } from './contract.ts';

export function ticketOf(approval: Approval): ApprovalTicket {
  const { subject } = approval;
  return {
    approval_id: subject.approvalId,
    action_digest: subject.actionDigest,
    answer_by: isoTime(subject.answerBy),
    ...('useBy' in approval ? { use_by: isoTime(approval.useBy) } : {}),
    answer_at: answerPlaces(subject),
  };
}

function errorView(error: { code: ErrorCode; message: string }): ErrorView {
  return new RuntimeError(error.code, error.message).view();
}

function resultOf(outcome: ToolOutcome): NonNullable<CallAnswer['result']> {
  return {
    content: outcome.content,
    ...(outcome.structured === undefined ? {} : { structured: outcome.structured }),
    replayed: outcome.replayed,
  };
}

function sessionOf(result: CallResult): string | undefined {
  if (result.status === 'waiting_approval') return result.approval.subject.capabilitySessionId;
  return result.capabilitySessionId;
}

function sessionFacts(
  result: CallResult,
  trackIds: boolean,
): Pick<CallAnswer, 'capability_session_id' | 'expiry' | 'resume_token'> {
  const { expiry } = result;
  const capabilitySessionId = sessionOf(result);
  const id =
    capabilitySessionId === undefined || !trackIds ? {} : { capability_session_id: capabilitySessionId };
  if (expiry === undefined) return id;
  return {
    expiry: {
      expired_capability_session_id: expiry.expiredId,
      ...(expiry.nextId === undefined ? {} : { capability_session_id: expiry.nextId }),
      cause: expiry.cause,
      resumed: expiry.resumed,
      must_retry: expiry.retry,
    },
    ...id,
    ...(expiry.resumeToken === undefined ? {} : { resume_token: expiry.resumeToken }),
  };
}

/** The wire document of one call. */
export function callAnswer(
  request: CallRequest,
  result: CallResult,
  { trackIds }: { trackIds: boolean },
): CallAnswer {
  const { context } = request;
  const common: Omit<CallAnswer, 'status'> = {
    decision: decisionView(result.decision),
    receipt_ids: result.receiptIds,
    side_effect_status: result.sideEffect,
    tool: request.tool,
    tool_call_id: request.toolCallId,
    session_id: request.session.id,
    run_id: context.runId,
    trace_id: context.traceId,
    ...sessionFacts(result, trackIds),
  };
  switch (result.status) {
    case 'done':
      return { status: 'done', result: resultOf(result.outcome), ...common };
    case 'tool_error':
      return {
        status: 'tool_error',
        result: resultOf(result.outcome),
        ...common,
        ...(result.error === undefined ? {} : { error: errorView(result.error) }),
        ...(result.endsRun === undefined ? {} : { on_failure: 'end_run' }),
      };
    case 'denied':
      return { status: 'denied', ...common };
    case 'waiting_approval':
      return { status: 'approval_required', approval: ticketOf(result.approval), ...common };
    case 'unknown':
    case 'canceled':
    case 'expired':
      return { status: result.status, error: errorView(result.error), ...common };
  }
}

/** The answer for a call that its own turn refused: it can never run. */
export function refusedAnswer(requested: Requested & { kind: 'refused' }, toolCallId: string): CallAnswer {
  const { context } = requested;
  return {
    status: 'denied',
    decision: requested.decision,
    error: errorView({ code: requested.code, message: ERRORS[requested.code].sentence }),
    receipt_ids: [],
    side_effect_status: 'not_executed',
    tool: requested.tool,
    tool_call_id: toolCallId,
    session_id: context.sessionId,
    run_id: context.runId,
    trace_id: context.traceId,
  };
}
