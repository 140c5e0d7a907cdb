// Owns on whose authority one call is judged: the grants that stand at that moment, held fast from deciding to committing.
import type { Delegation } from '../identity.ts';
import type { KernelDeps } from '../deps.ts';
import type { DecisionInput } from './decision.ts';
import { lacksGrant } from './delegation.ts';

export interface Authority {
  input: Pick<DecisionInput, 'grants'>;
  /** The session acts for somebody whose grant is not there any more. */
  isRevoked: boolean;
}

const OWN: Authority = { input: {}, isRevoked: false };

export async function authorityOf(
  deps: Pick<KernelDeps, 'config' | 'refreshGrants'>,
  delegation: Delegation,
  actor: string,
): Promise<Authority> {
  if (delegation.mode === 'platform_owned') return OWN;
  await deps.refreshGrants?.();
  const grants = deps.config.identity.delegations;
  return { input: { grants }, isRevoked: lacksGrant(grants, actor, delegation) };
}
