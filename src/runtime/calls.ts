// Owns the two ways into the door: the call a turn requested, and a direct capability call.
import type { Ids } from '../base/ids.ts';
import { RuntimeError } from '../base/errors.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { CallRequest } from '../kernel/call.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { LiveSessions } from '../capabilities/sessions/live.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Pack } from '../pack/index.ts';
import { refusedAnswer } from './call-answer.ts';
import type { CallLines } from './call-lines.ts';
import type { CallAnswer, CallToolInput, RuntimeIo } from './contract.ts';

export interface CallParts {
  config: RuntimeConfig;
  kernel: Kernel;
  pack: Pack;
  gate: Gate;
  ids: Ids;
  lines: CallLines;
  sessions: LiveSessions;
}

/** A name as people write it, as a canonical id; unknown names stay and are denied by the gate. */
export function canonical(config: RuntimeConfig, tool: string): string {
  if (Object.hasOwn(config.capabilities, tool)) return tool;
  return Object.values(config.capabilities).find((one) => one.name === tool)?.id ?? tool;
}

/** True once a resume token was spent for this very call. Throws NOT_FOUND for any other token. */
async function spendToken(parts: CallParts, caller: Caller, input: CallToolInput): Promise<boolean> {
  const { resume_token: token, tool_call_id: callId } = input;
  if (token === undefined) return false;
  const { tenant, principal } = caller;
  await parts.sessions.parts.ledger.spend(token, { tenant, principal, callId });
  return true;
}

export async function callTool(
  parts: CallParts,
  caller: Caller,
  input: CallToolInput,
  io: RuntimeIo,
): Promise<CallAnswer> {
  const requested = await parts.pack.requestedCall(caller, input);
  if (requested.kind === 'refused') return refusedAnswer(requested, input.tool_call_id);
  if (input.approval_id !== undefined) {
    const approval = await parts.kernel.approvalFor(caller.tenant, input.approval_id);
    if (approval?.subject.callId !== input.tool_call_id) {
      throw new RuntimeError('NOT_FOUND', `Approval request not found: ${input.approval_id.slice(0, 80)}`);
    }
  }
  const resumed = await spendToken(parts, caller, input);
  const request = resumed ? { ...requested.request, resumed } : requested.request;
  return parts.lines.run(request, io, (lineIo) => parts.kernel.call(request, lineIo));
}

export async function callCapability(
  parts: CallParts,
  caller: Caller,
  call: { tool: string; args: unknown; idempotencyKey?: string; callId?: string },
  io: RuntimeIo,
): Promise<CallAnswer> {
  const { context, session } = await parts.pack.directCall(caller);
  const request: CallRequest = {
    context,
    session,
    tool: canonical(parts.config, call.tool),
    args: call.args,
    toolCallId: call.callId ?? parts.ids.next('call'),
    ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: call.idempotencyKey }),
  };
  return parts.lines.run(request, io, (lineIo) => parts.kernel.call(request, lineIo));
}
