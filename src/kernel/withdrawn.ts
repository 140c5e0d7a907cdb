// Owns what becomes of an approval when that is gone under which it was asked for, a delegation or the connection that the
// call was to go through: it is taken back, whether or not a person has answered it, so that it can never be spent.
import type { Held } from './approvals/approvals.ts';
import type { KernelDeps, LostConnection } from './deps.ts';
import type { PreparedCall } from './prepare.ts';

const NOT_GRANTED = 'the delegation that the call was asked for under is not granted any more';
const LOST = 'the connection that the call was to go through was lost after it was asked for';

export async function withdrawApproval(
  deps: KernelDeps,
  { request }: PreparedCall,
  grantedDigest: string,
): Promise<void> {
  const { tenant } = request.context.caller;
  const at = deps.clock.now();
  const held = await deps.approvals.standing(tenant, grantedDigest, at);
  if (held !== undefined && held.approval.state !== 'rejected') await takeBack(deps, held, NOT_GRANTED);
}

/** What was asked before the connection was lost: nobody has agreed that another is built. A no stays one. */
export function isFromBefore(lost: LostConnection | undefined, { approval }: Held): boolean {
  const isWord = approval.state === 'pending' || approval.state === 'approved';
  return lost !== undefined && isWord && !lost.askedSince.includes(approval.subject.approvalId);
}

export function withdrawLost(deps: KernelDeps, held: Held): Promise<void> {
  return takeBack(deps, held, LOST);
}

async function takeBack(deps: KernelDeps, { approval }: Held, reason: string): Promise<void> {
  const { tenant, approvalId } = approval.subject;
  const commit = await deps.approvals.revoking(tenant, [approvalId], { reason, at: deps.clock.now() });
  // A commit that loses a race finds the approval ended by another; what was spent is beyond taking back.
  if (commit !== undefined) await deps.store.commit(commit);
}
