// Owns on whose authority one call is judged: the grants that stand at that moment, held fast from deciding to committing.
import type { Delegation } from '../identity.ts';
import type { KernelDeps } from '../deps.ts';
import type { DecisionInput } from './decision.ts';
import { lacksGrant } from './delegation.ts';

export interface Authority {
  /** The grants that the call is judged by. */
  grants: DecisionInput['grants'];
  /** The session acts for somebody whose grant is not there any more. */
  isRevoked: boolean;
}

/** Of a call that nobody else has to grant. */
export const OWN: Authority = { grants: undefined, isRevoked: false };

export function isOwn(delegation: Delegation): boolean {
  return delegation.mode === 'platform_owned';
}

export async function grantedAuthority(
  deps: Pick<KernelDeps, 'config' | 'refreshGrants'>,
  delegation: Delegation,
  actor: string,
): Promise<Authority> {
  await deps.refreshGrants?.();
  const grants = deps.config.identity.delegations;
  return { grants, isRevoked: lacksGrant(grants, actor, delegation) };
}
