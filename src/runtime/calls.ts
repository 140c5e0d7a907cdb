// Owns the three ways into the door: the call a turn requested, a direct capability call, and the question what would be
// decided.
import type { Ids } from '../base/ids.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { CallRequest } from '../kernel/call.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { CallIo } from '../kernel/execution/executor.ts';
import { isOperator } from '../kernel/identity.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Pack } from '../pack/index.ts';
import { callAnswer, refusedAnswer } from './call-answer.ts';
import type { CallAnswer, CallToolInput, RuntimeIo } from './contract.ts';

export interface CallParts {
  config: RuntimeConfig;
  kernel: Kernel;
  pack: Pack;
  gate: Gate;
  ids: Ids;
}

function ioOf(io: RuntimeIo): CallIo {
  return { progress: (progress) => io.progress?.(progress), signal: io.signal };
}

/** A name as people write it, as a canonical id; unknown names stay and are denied by the gate. */
function canonical(config: RuntimeConfig, tool: string): string {
  if (Object.hasOwn(config.capabilities, tool)) return tool;
  return Object.values(config.capabilities).find((one) => one.name === tool)?.id ?? tool;
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
  const result = await parts.kernel.call(requested.request, ioOf(io));
  return callAnswer(requested.request, result);
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
  return callAnswer(request, await parts.kernel.call(request, ioOf(io)));
}

/** What would be decided for a call, and for operators the one value that would flip it. No record, no effect. */
export async function explainPolicy(
  parts: CallParts,
  caller: Caller,
  call: { tool: string; args: unknown; session_id?: string; intent?: string },
): Promise<JsonObject> {
  const direct = await parts.pack.directCall(caller);
  const request: CallRequest = {
    context: direct.context,
    session: { ...direct.session, ...(call.intent === undefined ? {} : { intent: call.intent }) },
    tool: canonical(parts.config, call.tool),
    args: call.args,
    toolCallId: parts.ids.next('call'),
  };
  const { decision, input } = await parts.kernel.examine(request);
  const view: JsonObject = {
    tool: request.tool,
    decision: decision.verdict,
    rule_id: decision.ruleId,
    layer: decision.layer,
    reasons: decision.reasons,
    aliases: decision.aliases,
    on_deny: decision.onDeny,
    policy_digest: decision.policyDigest,
    attributes: decision.attributes,
    ...(decision.approval === undefined ? {} : { approver: decision.approval.approver }),
  };
  if (!isOperator(caller) || input === undefined) return view;
  const { flip } = await import('../kernel/policy/explain.ts');
  return { ...view, flip: flip(parts.gate, input) as unknown as JsonValue };
}
