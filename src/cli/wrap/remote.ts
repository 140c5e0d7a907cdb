// Owns what is wrapped when it is a URL: the address as it was typed, and which variables its headers are taken from. No
// value of a header is ever written down or printed.
import { RuntimeError } from '../../base/errors.ts';

export interface HeaderSource {
  from_env: string;
  prefix?: string;
}

export interface RemoteFlags {
  headerEnv?: string[];
  bearerEnv?: string;
}

export interface Remote {
  transport: 'http';
  url: string;
  headers: Record<string, HeaderSource>;
}

const SECRET = /key|token|secret|password/i;
// Small letters are in more tokens than in names of variables: what looks like a value is not repeated.
const VARIABLE = /^[A-Z_][A-Z0-9_]*$/;
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

function usage(text: string): never {
  throw new RuntimeError('USAGE', text);
}

function parseUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    usage('--url must be an address such as https://mcp.example.com/mcp.');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    usage('--url must begin with https:// or http://.');
  const hasSecret = [...url.searchParams.keys()].some((name) => SECRET.test(name));
  if (url.username !== '' || url.password !== '' || url.hash !== '' || hasSecret) {
    usage('--url must have no user, secret or fragment; hand secrets over with --header-env.');
  }
  return url;
}

function headerOf(given: string): [string, HeaderSource] {
  const at = given.indexOf('=');
  const [name, variable] = [given.slice(0, at), given.slice(at + 1)];
  if (at < 1 || !HEADER.test(name)) {
    usage('--header-env must be NAME=VARIABLE: a header, and the environment variable that has its value.');
  }
  if (!VARIABLE.test(variable)) {
    usage(
      `--header-env ${name}=… must name an environment variable in capitals; its value is not typed here.`,
    );
  }
  return [name, { from_env: variable }];
}

function headersOf({ headerEnv = [], bearerEnv }: RemoteFlags): Record<string, HeaderSource> {
  const headers = Object.fromEntries(headerEnv.map(headerOf));
  if (bearerEnv === undefined) return headers;
  if (!VARIABLE.test(bearerEnv)) {
    usage('--bearer-env must name an environment variable in capitals; the token is not typed here.');
  }
  return { ...headers, Authorization: { from_env: bearerEnv, prefix: 'Bearer ' } };
}

/** Throws USAGE, and MISSING_ENVIRONMENT for a variable that is not set. */
export function remoteOf(
  text: string,
  flags: RemoteFlags,
  env: Readonly<Record<string, string | undefined>>,
): Remote {
  const url = parseUrl(text);
  const headers = headersOf(flags);
  for (const [header, { from_env: variable }] of Object.entries(headers)) {
    if ((env[variable] ?? '') !== '') continue;
    const sentence = `The header ${header} is to come from the environment variable ${variable}, which is not set.`;
    throw new RuntimeError('MISSING_ENVIRONMENT', sentence, { variable });
  }
  if (url.protocol === 'http:' && Object.keys(headers).length > 0 && !LOOPBACK.test(url.hostname)) {
    usage('Headers are sent to another machine over https only.');
  }
  return { transport: 'http', url: url.href, headers };
}

// Labels that say where a server stands and not what it is.
const SAYS_NOTHING = /^(?:www|api|mcp|server|localhost)$/;

/** `github` for `https://api.github.com/mcp`; empty for an address that names nothing. */
export function hostWord(url: string): string {
  const { hostname } = new URL(url);
  if (/^[\d.]+$|^\[/.test(hostname)) return '';
  const labels = hostname.split('.');
  return labels.find((label, at) => !SAYS_NOTHING.test(label) && (at < labels.length - 1 || at === 0)) ?? '';
}
