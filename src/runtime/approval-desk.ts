// Owns what a client is told before it may show or list anything: the exact prompt of an approval, and the exposed tools;
// and the answers that come back.
import { mayKnow, notFound } from '../inspect/visible.ts';
import type { Answerer, ApprovalState, Delivery } from '../kernel/approvals/approval.ts';
import { mayAnswer } from '../kernel/approvals/approver.ts';
import { isRead } from '../kernel/catalog/reads.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { Caller } from '../kernel/identity.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Pack } from '../pack/index.ts';
import type { ApprovalPrompt, GovernedTool } from './contract.ts';

/**
 * Records one delivery. Whoever may neither see nor answer an approval gets NOT_FOUND, as for an id that does not exist,
 * and leaves no record on it.
 */
export async function deliverApproval(
  kernel: Kernel,
  answerer: Answerer,
  approvalId: string,
  made: { delivery: Delivery; actor?: string | undefined },
): Promise<{ state: ApprovalState; moved: boolean; why?: string }> {
  const approval = await kernel.approvalFor(answerer.tenant, approvalId);
  if (approval === undefined || !mayKnow(answerer, approval.subject)) throw notFound('approval', approvalId);
  const done = await kernel.deliver(answerer, approvalId, made.delivery, made.actor);
  return {
    state: done.approval.state,
    moved: done.moved,
    ...(done.why === undefined ? {} : { why: done.why }),
  };
}

/** NOT_FOUND for an approval that is foreign, unknown or no longer pending. */
export async function approvalPrompt(
  kernel: Kernel,
  caller: Caller,
  approvalId: string,
): Promise<ApprovalPrompt> {
  const approval = await kernel.approvalFor(caller.tenant, approvalId);
  const isOwn = approval?.state === 'pending' && approval.subject.principal === caller.principal;
  const text = isOwn ? await kernel.shownApproval(caller.tenant, approvalId) : undefined;
  if (!isOwn || text === undefined) {
    throw notFound('approval', approvalId);
  }
  return {
    approval_id: approvalId,
    action_digest: approval.subject.actionDigest,
    text,
    // Whoever may not answer is not asked: what such a person says would not count.
    askable:
      mayAnswer(caller, approval.subject).ok &&
      !approval.deliveries.some((made) => made.actor === caller.actor),
  };
}

/** The exposed tools that policy leaves reachable for this caller, by id; reads are offered as what they are. */
export async function exposedTools(
  parts: { config: RuntimeConfig; kernel: Kernel; pack: Pack },
  caller: Caller,
): Promise<GovernedTool[]> {
  const { config, kernel, pack } = parts;
  if (!Object.values(config.capabilities).some((one) => one.expose)) return [];
  const { context, session } = await pack.directView(caller);
  const reachable = await kernel.tools(context, session);
  return reachable
    .filter(({ definition }) => {
      const capability = config.capabilities[definition.id];
      return capability?.expose === true && !isRead(capability);
    })
    .map(({ definition, approvalRequired }) => ({ ...definition, approval_required: approvalRequired }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}
