// Owns the two ways into the door: the call a turn requested, and a direct capability call.
import type { Ids } from '../base/ids.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { CallRequest } from '../kernel/call.ts';
import { canonicalId } from '../kernel/catalog/catalog.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import { unknownToken } from '../capabilities/sessions/ledger.ts';
import type { LiveSessions } from '../capabilities/sessions/live.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Pack, Requested } from '../pack/index.ts';
import type { ResumeSessionInput, WorkAnswer } from '../pack/managed/surface.ts';
import { refusedAnswer } from './call-answer.ts';
import type { CallLines } from './call-lines.ts';
import type { CallAnswer, CallToolInput, RuntimeIo } from './contract.ts';
import type { Work } from './work.ts';

export interface CallParts {
  config: RuntimeConfig;
  kernel: Kernel;
  pack: Pack;
  gate: Gate;
  ids: Ids;
  lines: CallLines;
  sessions: LiveSessions;
}

/** Spends a resume token for this very call of this very run. Throws NOT_FOUND for any other token. */
async function spendToken({ sessions }: CallParts, token: string, request: CallRequest): Promise<void> {
  const { ledger, controls } = sessions.parts;
  if (!controls.resumeAllowed) throw unknownToken();
  const { tenant, principal } = request.context.caller;
  const { runId } = request.context;
  await ledger.spend(token, { tenant, principal, runId, callId: request.toolCallId });
}

/** Whether the approval was asked for by this call, is waited for by it, or was used by it: equal calls share one. */
function concerns(approval: Approval, { request, waitsFor }: Requested & { kind: 'call' }): boolean {
  const { approvalId, callId } = approval.subject;
  const id = request.toolCallId;
  if (approvalId === waitsFor || callId === id) return true;
  return approval.state === 'consumed' && approval.callId === id;
}

export async function callTool(
  parts: CallParts,
  caller: Caller,
  input: CallToolInput,
  io: RuntimeIo,
): Promise<CallAnswer> {
  const requested = await parts.pack.requestedCall(caller, input, io.series);
  if (requested.kind === 'refused') return refusedAnswer(requested, input.tool_call_id);
  if (input.approval_id !== undefined) {
    const approval = await parts.kernel.approvalFor(caller.tenant, input.approval_id);
    if (approval === undefined || !concerns(approval, requested)) {
      throw new RuntimeError('NOT_FOUND', `Approval request not found: ${input.approval_id.slice(0, 80)}`);
    }
  }
  const { resume_token: token } = input;
  if (token !== undefined) await spendToken(parts, token, requested.request);
  const request = token === undefined ? requested.request : { ...requested.request, resumed: true };
  return parts.lines.run(request, io, (lineIo) => parts.kernel.call(request, lineIo));
}

/** The call of this session that a token stands for, once more. A token of another session's call is unknown like any other. */
async function resumeCall(
  parts: CallParts,
  caller: Caller,
  { session_id, resume_token }: { session_id: string; resume_token: string },
  io: RuntimeIo,
): Promise<CallAnswer> {
  const { tenant, principal } = caller;
  const tool_call_id = await parts.sessions.parts.ledger.callOf(resume_token, { tenant, principal });
  try {
    return await callTool(parts, caller, { session_id, tool_call_id, resume_token }, io);
  } catch (thrown) {
    throw asRuntimeError(thrown).code === 'NOT_FOUND' ? unknownToken() : thrown;
  }
}

/** What fails once the call of a token has run says so: the token is spent, and the call may have taken effect. */
function afterCall(thrown: unknown, call: CallAnswer): RuntimeError {
  const { code, message, details } = asRuntimeError(thrown);
  const { status, tool_call_id, side_effect_status, resume_token: token } = call;
  const resumed = { tool_call_id, status, side_effect_status };
  return new RuntimeError(code, message, {
    ...details,
    resumed_call: token === undefined ? resumed : { ...resumed, resume_token: token },
  });
}

/** With a token its call goes first of all that the resume does, so that the session goes on with how that ended. */
export async function resumeSession(
  parts: CallParts & { work: Pick<Work, 'resumeSession'> },
  caller: Caller,
  input: ResumeSessionInput,
  io: RuntimeIo,
): Promise<WorkAnswer> {
  const { resume_token, ...rest } = input;
  if (resume_token === undefined) return parts.work.resumeSession(caller, rest, io);
  if (input.background === true) {
    const field = '/resume_token';
    throw new RuntimeError(
      'INVALID_INPUT',
      `${field}: cannot be given to a worker; resume without background`,
      {
        field,
      },
    );
  }
  const { session_id } = input;
  let call: CallAnswer | undefined;
  const first = async (): Promise<void> => {
    call = await resumeCall(parts, caller, { session_id, resume_token }, io);
  };
  const answer = await parts.work.resumeSession(caller, { ...rest, first }, io).catch((thrown: unknown) => {
    throw call === undefined ? thrown : afterCall(thrown, call);
  });
  // It is under way still, or its connection was lost again.
  return call?.resume_token === undefined ? answer : { ...answer, resume_token: call.resume_token };
}

export async function callCapability(
  parts: CallParts,
  caller: Caller,
  call: { tool: string; args: unknown; idempotencyKey?: string; callId?: string },
  io: RuntimeIo,
): Promise<CallAnswer> {
  const { context, session, toolCallId } = await parts.pack.directCall(caller, call.callId);
  const request: CallRequest = {
    context,
    session,
    tool: canonicalId(parts.config, call.tool),
    args: call.args,
    toolCallId: toolCallId ?? parts.ids.next('call'),
    isNew: toolCallId === undefined,
  };
  if (call.idempotencyKey !== undefined) request.idempotencyKey = call.idempotencyKey;
  return parts.lines.run(request, io, (lineIo) => parts.kernel.call(request, lineIo));
}
