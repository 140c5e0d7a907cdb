// Owns who somebody is, now, to work that goes on without a client: the person of this machine, the principals of
// identity.yaml, and whoever holds tokens of this workspace.
import type { RuntimeConfig } from '../config/types.ts';
import { configuredCallers, configuredTenants } from '../runtime/configured-callers.ts';
import type { CallerOf } from '../runtime/configured-callers.ts';
import type { Context } from './context.ts';
import { localCaller } from './identity.ts';
import { knownTokens } from './known-tokens.ts';
import type { KnownTokens } from './known-tokens.ts';

export interface Callers {
  /** Throws STORE_CORRUPT when nobody can say who holds tokens. */
  callerOf: CallerOf;
  tenants(): string[];
}

export function callersOf(
  context: Context,
  config: RuntimeConfig,
  tokens: KnownTokens = knownTokens(context, config),
): Callers {
  const configured = configuredCallers(config);
  const local = localCaller(config.identity);
  return {
    callerOf: (tenant, principal) =>
      tenant === local.tenant && principal === local.principal
        ? local
        : (configured(tenant, principal) ?? tokens.callerOf(tenant, principal)),
    tenants: () => [...new Set([...configuredTenants(config), ...tokens.tenants()])],
  };
}
