// Owns the kernel as the rooms above see it: the door, deciding without effect, model admission, approvals, tools.
import type { JsonObject } from '../base/json.ts';
import type { Commit } from '../store/contract.ts';
import type { CounterMove } from '../store/contract.ts';
import type { ModelProfile, ModelUsage } from '../providers/contract.ts';
import type { Answerer, Approval, Delivery } from './approvals/approval.ts';
import type { DeliveryOutcome } from './approvals/approvals.ts';
import { LastResults } from './budgets/last-results.ts';
import type { CallRequest, CallResult, SessionBinding } from './call.ts';
import type { KernelDeps } from './deps.ts';
import type { Redacted, Redactor } from './evidence/redact.ts';
import type { CallIo } from './execution/executor.ts';
import type { RunContext } from './identity.ts';
import { createCall } from './kernel.ts';
import { knownCall } from './known-call.ts';
import { admitModel, settleModel } from './model-admission.ts';
import type { Admission, ModelRequest } from './model-admission.ts';
import { OwnCalls } from './own-calls.ts';
import type { UnsettledCall } from './own-calls.ts';
import type { Decision, DecisionInput } from './policy/decision.ts';
import { parseArgs, prepareCall } from './prepare.ts';
import { createReachable } from './reachable.ts';
import type { Reachable } from './reachable.ts';
import { withoutSecrets } from './without-secrets.ts';

export interface Kernel {
  call(request: CallRequest, io: CallIo): Promise<CallResult>;
  /** Settles what ran in this process without its outcome being recorded: as unknown, or as what certainly did nothing. Tells what is still left. */
  settleLeft(): Promise<UnsettledCall[]>;
  /** What would be decided now, without the secrets that it quotes. No record, no effect. Throws INVALID_INPUT. */
  preview(request: CallRequest): Promise<Decision>;
  /** The same, with everything the gate looked at; for explaining. No input: it could not be gathered. */
  examine(request: CallRequest): Promise<{ decision: Decision; input: DecisionInput | undefined }>;
  /** The tools that policy leaves reachable whatever their arguments are. */
  tools: Reachable;
  admitModel(request: ModelRequest, commit: Commit): Promise<Admission>;
  settleModel(
    reserved: CounterMove[],
    request: { context: RunContext; session: SessionBinding; profile: ModelProfile },
    usage: ModelUsage | undefined,
  ): CounterMove[];
  redact(value: JsonObject): Redacted<JsonObject>;
  redactText(text: string): string;
  approvalFor(tenant: string, approvalId: string): Promise<Approval | undefined>;
  /** Records approvals whose time has passed, before their rows are listed. */
  settleApprovals(tenant: string): Promise<void>;
  shownApproval(tenant: string, approvalId: string): Promise<string | undefined>;
  /** The part of a commit that takes approvals back; undefined when none is pending or approved. */
  revocation(tenant: string, approvalIds: readonly string[], reason: string): Promise<Commit | undefined>;
  deliver(
    answerer: Answerer,
    approvalId: string,
    delivery: Delivery,
    actor?: string,
  ): Promise<DeliveryOutcome>;
}

/** The note of an answer is written to evidence and rows, and told with the decision. */
function withShownNote(redactor: Redactor, delivery: Delivery): Delivery {
  if (delivery.kind !== 'answered' || delivery.note === undefined) return delivery;
  return { ...delivery, note: redactor.text(delivery.note) };
}

/** One kernel over its ports. */
export function createKernel(deps: KernelDeps): Kernel {
  const calls = new OwnCalls();
  const door = { ...deps, calls, results: deps.results ?? new LastResults() };
  return {
    call: createCall(door),
    settleLeft: () => calls.settle((request) => knownCall(door, request)),
    async preview(request) {
      const prepared = await prepareCall(deps, request, parseArgs(request.args));
      if (!prepared.ok) return prepared.decision;
      const decision = deps.gate.decide(prepared.call.input);
      // The turn that asked keeps it on record. An allow says what is configured, and quotes nobody.
      return decision.verdict === 'allow' ? decision : withoutSecrets(deps.redactor, decision);
    },
    async examine(request) {
      const prepared = await prepareCall(deps, request, parseArgs(request.args));
      if (!prepared.ok) return { decision: prepared.decision, input: undefined };
      const { input } = prepared.call;
      return { decision: withoutSecrets(deps.redactor, deps.gate.decide(input)), input };
    },
    tools: createReachable(deps),
    admitModel: (request, commit) => admitModel(deps, request, commit),
    settleModel: (reserved, request, usage) => settleModel(deps, reserved, request, usage),
    redact: (value) => deps.redactor.object(value),
    redactText: (text) => deps.redactor.text(text),
    async approvalFor(tenant, approvalId) {
      return (await deps.approvals.get(tenant, approvalId, deps.clock.now()))?.approval;
    },
    settleApprovals: (tenant) => deps.approvals.settle(tenant, deps.clock.now()),
    shownApproval: (tenant, approvalId) => deps.approvals.shown(tenant, approvalId),
    revocation: (tenant, approvalIds, reason) =>
      deps.approvals.revoking(tenant, approvalIds, { reason, at: deps.clock.now() }),
    deliver: (answerer, approvalId, delivery, actor) =>
      deps.approvals.deliver(answerer, approvalId, {
        delivery: withShownNote(deps.redactor, delivery),
        at: deps.clock.now(),
        ...(actor === undefined ? {} : { actor }),
      }),
  };
}
