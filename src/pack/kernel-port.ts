// Owns the port through which the pack reaches the kernel: written in the pack's words, met by the kernel's structure.
import type { Series } from '../base/series.ts';
import type { JsonObject } from '../base/json.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { CallRequest, CallResult, SessionBinding } from '../kernel/call.ts';
import type { CallIo, ToolDefinition } from '../kernel/execution/executor.ts';
import type { RunContext } from '../kernel/identity.ts';
import type { Decision } from '../kernel/policy/decision.ts';
import type { ModelProfile, ModelUsage } from '../providers/contract.ts';
import type { Commit, CounterMove, Head } from '../store/contract.ts';

export interface ModelCall {
  context: RunContext;
  session: SessionBinding;
  profile: ModelProfile;
}

export type ModelAdmission =
  | { ok: true; heads: Head[]; reserved: CounterMove[] }
  | { ok: false; refused: 'denied'; decision: Decision }
  | { ok: false; refused: 'conflict' };

export interface KernelPort {
  call(request: CallRequest, io: CallIo): Promise<CallResult>;
  /** The decision without the effect. Throws INVALID_INPUT. */
  preview(request: CallRequest): Promise<Decision>;
  /** The tools that policy leaves reachable in this session whatever their arguments are. */
  tools(
    context: RunContext,
    session: SessionBinding,
  ): Promise<readonly { definition: ToolDefinition; approvalRequired: boolean }[]>;
  /** Decides egress and budget of a model call and commits the pack's appends with its counters, all in one commit. */
  admitModel(
    request: ModelCall & { inputBytes: number; series?: Series | undefined },
    commit: Commit,
  ): Promise<ModelAdmission>;
  /** What the outcome commit gives back of the reservation. */
  settleModel(reserved: CounterMove[], call: ModelCall, usage: ModelUsage | undefined): CounterMove[];
  /** Write-time redaction for evidence payloads. */
  redact(value: JsonObject): { value: JsonObject; fields: string[] };
  approvalFor(tenant: string, approvalId: string): Promise<Approval | undefined>;
  /** The part of a commit that takes an approval back; undefined when it is not pending or approved. */
  revocation(tenant: string, approvalIds: readonly string[], reason: string): Promise<Commit | undefined>;
}

/** What an approval message is checked against. */
export type ApprovalBook = Pick<KernelPort, 'approvalFor'>;
