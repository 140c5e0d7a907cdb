// Owns the step from a model profile to a provider. Making one never fails for a variable that is not set: only the
// call that needs it does, so a broken profile harms no other.
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { resolveBaseUrl } from './base-url.ts';
import type { ModelProfile, ModelProvider } from './contract.ts';
import type { Environment } from './key.ts';
import { messagesCompatible } from './messages-compatible/model.ts';
import { openaiCompatible } from './openai-compatible/model.ts';
import { createScriptedProvider } from './scripted/model.ts';
import { createWireProvider } from './wire-provider.ts';

export interface ProviderPorts {
  env: Environment;
  clock: Clock;
  /** In [0, 1); spreads the waits between retries. */
  random: () => number;
  /** Carries each request in place of the network; the checks of origin, size and redirects stay around it. */
  fetch?: typeof fetch;
  /** Takes the place of the profile's own base URL where it answers one; the same checks hold for it. */
  baseUrlOf?: (profile: ModelProfile) => string | undefined;
}

function placed(profile: ModelProfile, ports: ProviderPorts): ModelProfile {
  const baseUrl = ports.baseUrlOf?.(profile);
  return baseUrl === undefined ? profile : { ...profile, baseUrl };
}

/** Throws PROVIDER_UNSUPPORTED for a kind that is none of ours, and nothing else. */
export function createModelProvider(profile: ModelProfile, ports: ProviderPorts): ModelProvider {
  const { env, clock, random } = ports;
  const baseUrl = (): URL => resolveBaseUrl(placed(profile, ports), env);
  const setup = { profile, baseUrl, env, clock, random, fetch: ports.fetch ?? fetch };
  switch (profile.provider) {
    case 'openai_compatible':
      return createWireProvider({ ...setup, wire: openaiCompatible });
    case 'messages_compatible':
      return createWireProvider({ ...setup, wire: messagesCompatible });
    case 'scripted':
      return createScriptedProvider(profile);
    default:
      throw new RuntimeError('PROVIDER_UNSUPPORTED', undefined, {
        model_profile: profile.name,
        provider_kind: String(profile.provider satisfies never),
      });
  }
}
