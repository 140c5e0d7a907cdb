// Owns what becomes of an approval when the delegation is gone under which it was asked for: it is taken back, whether or not
// a person has answered it, so that it can never be spent.
import type { KernelDeps } from './deps.ts';
import type { PreparedCall } from './prepare.ts';

const REASON = 'the delegation that the call was asked for under is not granted any more';

export async function withdrawApproval(
  deps: KernelDeps,
  { request }: PreparedCall,
  grantedDigest: string,
): Promise<void> {
  const { tenant } = request.context.caller;
  const at = deps.clock.now();
  const held = await deps.approvals.standing(tenant, grantedDigest, at);
  if (held === undefined || held.approval.state === 'rejected') return;
  const { approvalId } = held.approval.subject;
  const commit = await deps.approvals.revoking(tenant, [approvalId], { reason: REASON, at });
  // A commit that loses a race finds the approval ended by another; what was spent is beyond taking back.
  if (commit !== undefined) await deps.store.commit(commit);
}
