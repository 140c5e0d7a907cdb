// Owns network scopes: the three postures and their order, and how hosts are written so that equal means the same host.
import { RuntimeError } from '../../base/errors.ts';

export interface NetworkScope {
  readonly posture: 'off' | 'allowlist' | 'full';
  /** `host:port`, only for allowlist. */
  readonly hosts: ReadonlySet<string>;
}

export const NO_NETWORK: NetworkScope = { posture: 'off', hosts: new Set() };
export const FULL_NETWORK: NetworkScope = { posture: 'full', hosts: new Set() };
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'https:': '443', 'http:': '80' };

function parseHost(entry: string): string | undefined {
  if (entry === '' || /[\s*@\\?#%]/u.test(entry)) return undefined;
  let url: URL;
  try {
    url = new URL(/^https?:\/\//i.test(entry) ? entry : `https://${entry}`);
  } catch {
    return undefined;
  }
  const isBare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (!isBare || url.hostname === '') return undefined;
  const host = url.hostname.endsWith('.') ? url.hostname.slice(0, -1) : url.hostname;
  return `${host}:${url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? '443') : url.port}`;
}

/** Throws CONFIGURATION_ERROR for an entry that is not exactly one host; wildcards are refused. */
export function allowlist(entries: readonly string[]): NetworkScope {
  const hosts = new Set<string>();
  for (const entry of entries) {
    const host = parseHost(entry);
    if (host === undefined) {
      throw new RuntimeError(
        'CONFIGURATION_ERROR',
        `network scope entry ${JSON.stringify(entry.slice(0, 200))} is not one host, \`host:port\` or origin`,
        { field: 'entries', entry: entry.slice(0, 200) },
      );
    }
    hosts.add(host);
  }
  return { posture: 'allowlist', hosts };
}

/** The wider of two grants of one layer. */
export function networkUnion(a: NetworkScope, b: NetworkScope): NetworkScope {
  if (a.posture === 'full' || b.posture === 'full') return FULL_NETWORK;
  if (a.posture === 'off') return b;
  return b.posture === 'off' ? a : { posture: 'allowlist', hosts: new Set([...a.hosts, ...b.hosts]) };
}

/** off < allowlist < full; the stricter wins, and two lists keep what both name. */
export function networkIntersection(a: NetworkScope, b: NetworkScope): NetworkScope {
  if (a.posture === 'off' || b.posture === 'off') return NO_NETWORK;
  if (a.posture === 'full') return b;
  if (b.posture === 'full') return a;
  return { posture: 'allowlist', hosts: new Set([...a.hosts].filter((host) => b.hosts.has(host))) };
}

export function isNetworkEmpty(scope: NetworkScope): boolean {
  return scope.posture === 'off' || (scope.posture === 'allowlist' && scope.hosts.size === 0);
}

export function containsHost(scope: NetworkScope, host: string): boolean {
  if (scope.posture !== 'allowlist') return scope.posture === 'full' && parseHost(host) !== undefined;
  const normal = parseHost(host);
  return normal !== undefined && scope.hosts.has(normal);
}
