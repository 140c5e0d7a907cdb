// Owns who the principals of identity.yaml are, to work that goes on without a client.
import type { RuntimeConfig } from '../config/types.ts';
import type { Caller } from '../kernel/identity.ts';

/** Who a principal is now; undefined for one that nobody knows any more. */
export type CallerOf = (tenant: string, principal: string) => Caller | undefined;

/** The principals of identity.yaml, by tenant and id. */
export function configuredCallers({ identity }: RuntimeConfig): CallerOf {
  const known = new Map(identity.principals.map((one) => [JSON.stringify([one.tenant, one.id]), one]));
  return (tenant, principal) => {
    const found = known.get(JSON.stringify([tenant, principal]));
    if (found === undefined) return undefined;
    const { roles, scopes, lane = 'default' } = found;
    return { tenant, principal, actor: 'worker', roles, scopes, lane };
  };
}

export function configuredTenants({ identity }: RuntimeConfig): string[] {
  return [...new Set([identity.stdio.tenant, ...identity.principals.map((one) => one.tenant)])];
}
