// Owns where a profile sends its calls: the base URL, checked and normalized.
import { RuntimeError } from '../base/errors.ts';
import { requireVariable } from './key.ts';
import type { Environment } from './key.ts';
import type { ModelProfile } from './contract.ts';

function refuse(profile: ModelProfile, why: string): never {
  // The text itself is not repeated: what is wrong with it may be a password in it.
  throw new RuntimeError('CONFIGURATION_ERROR', `The base URL of model profile ${profile.name} ${why}.`, {
    model_profile: profile.name,
    field: profile.baseUrl === undefined ? 'base_url_env' : 'base_url',
    ...(profile.baseUrl === undefined && profile.baseUrlEnv !== undefined
      ? { variable: profile.baseUrlEnv }
      : {}),
  });
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** The URL of a profile by the WHATWG rules, or CONFIGURATION_ERROR or MISSING_ENVIRONMENT. */
export function resolveBaseUrl(profile: ModelProfile, env: Environment): URL {
  const text =
    profile.baseUrl ??
    (profile.baseUrlEnv === undefined ? undefined : requireVariable(env, profile.baseUrlEnv)) ??
    refuse(profile, 'is not given: neither base_url nor base_url_env');
  if (!URL.canParse(text)) refuse(profile, 'is not an absolute URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') refuse(profile, 'is neither https nor http');
  if (url.username !== '' || url.password !== '') refuse(profile, 'holds a user name or a password');
  if (url.search !== '' || url.hash !== '') refuse(profile, 'has a query or a fragment');
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    refuse(profile, 'is plain http to another machine, which would show the key to the network');
  }
  return url;
}
