// Owns which variables a model profile reads.
import type { ModelProfile } from '../providers/contract.ts';

/** By name; a model that needs no network reads none. */
export function variablesOf({ provider, apiKeyEnv, baseUrl, baseUrlEnv }: ModelProfile): string[] {
  if (provider === 'scripted') return [];
  const names = [apiKeyEnv, baseUrl === undefined ? baseUrlEnv : undefined];
  return names.filter((name) => name !== undefined);
}
