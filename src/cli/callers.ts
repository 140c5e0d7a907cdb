// Owns who somebody is, now, to work that goes on without a client: the person of this machine, the principals of
// identity.yaml, and whoever holds tokens of this workspace.
import type { RuntimeConfig } from '../config/types.ts';
import { configuredCallers, configuredTenants } from '../runtime/configured-callers.ts';
import type { CallerOf } from '../runtime/configured-callers.ts';
import type { Log } from '../runtime/options.ts';
import type { Context } from './context.ts';
import { localCaller } from './identity.ts';
import { knownTokens } from './known-tokens.ts';
import type { KnownTokens } from './known-tokens.ts';

export interface Callers {
  /** Throws STORE_CORRUPT when nobody can say who holds tokens. */
  callerOf: CallerOf;
  /** While nobody can say who holds tokens, those of identity.yaml alone: their work is seen to all the same. */
  tenants(): string[];
}

export function callersOf(
  context: Context,
  config: RuntimeConfig,
  { tokens = knownTokens(context, config), log }: { tokens?: KnownTokens; log?: Log } = {},
): Callers {
  const configured = configuredCallers(config);
  const local = localCaller(config.identity);
  const ownersTenants = (): string[] => {
    try {
      return tokens.tenants();
    } catch (error) {
      log?.('warn', 'only the tenants of identity.yaml are seen to', { error });
      return [];
    }
  };
  return {
    callerOf: (tenant, principal) =>
      tenant === local.tenant && principal === local.principal
        ? local
        : (configured(tenant, principal) ?? tokens.callerOf(tenant, principal)),
    tenants: () => [...new Set([...configuredTenants(config), ...ownersTenants()])],
  };
}
