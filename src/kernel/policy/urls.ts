// Owns which addresses in the arguments are URLs and which of them are allowed. The parsed scheme, host and port are
// compared, never the text; text that a parser would repair is refused, so every reader sees the same address.
import { BlockList, isIP } from 'node:net';
import { RuntimeError } from '../../base/errors.ts';
import { showCut } from '../../base/text.ts';
import { isBeneath, pointerOf } from './walk.ts';
import type { Leaf } from './walk.ts';

/** Canonical origins, such as `https://docs.internal` and `http://127.0.0.1:8080`; and servers' own schemes, `notes:`. */
export type UrlAllowlist = ReadonlySet<string>;

export interface UrlOffence {
  pointer: string;
  /** May hold a scheme that somebody made up, whole. */
  why: string;
  url: string;
  host: string;
}

// What WHATWG removes before parsing: leading and trailing controls and blanks, tabs and newlines anywhere.
// eslint-disable-next-line no-control-regex -- the control characters are the point
const TRIMMED = /^[\u0000-\u0020]+|[\u0000-\u0020]+$|[\t\n\r]/g;
const HIDDEN_OR_SPACE =
  // eslint-disable-next-line no-control-regex -- the control characters are the point
  /[\u0000-\u0020\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff]/;
// What stands around an address in text and lenient readers take off: blanks of any kind, quotes, brackets, `URL:`.
const DELIMITERS =
  // eslint-disable-next-line no-control-regex -- the control characters are the point
  /^(?:[\u0000-\u0020\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff<"'`(]|url:)+/i;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const SPECIAL = /^(?:https?|wss?|ftp|file):(?![ \t])/i;
const WEB: ReadonlySet<string> = new Set(['http:', 'https:']);

// Schemes that lead to a network, to files or to code in common readers; nobody can list them.
const OPENED: ReadonlySet<string> = new Set([
  ...[
    'http:',
    'https:',
    'ws:',
    'wss:',
    'ftp:',
    'ftps:',
    'sftp:',
    'file:',
    'data:',
    'javascript:',
    'vbscript:',
    'blob:',
  ],
  ...[
    'filesystem:',
    'view-source:',
    'jar:',
    'ssh:',
    'git:',
    'svn:',
    'gopher:',
    'dict:',
    'ldap:',
    'ldaps:',
    'telnet:',
  ],
  ...[
    'tftp:',
    'smb:',
    'nfs:',
    'imap:',
    'imaps:',
    'pop3:',
    'smtp:',
    'mailto:',
    'tel:',
    'about:',
    'php:',
    'phar:',
    'jdbc:',
  ],
]);

const PRIVATE = new BlockList();
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv4');
}
for (const [net, bits] of [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv6');
}

/** Whether a host of a parsed URL is an address literal that does not lead to the public network. */
export function isPrivateAddress(host: string): boolean {
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  const family = isIP(bare);
  return family !== 0 && PRIVATE.check(bare, family === 4 ? 'ipv4' : 'ipv6');
}

/** `notes:`, and none that a reader would open by itself. */
function isOwnScheme(entry: string): boolean {
  return /^[a-z][a-z0-9+.-]{1,39}:$/.test(entry) && !OPENED.has(entry);
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function originOf(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

/** Throws CONFIGURATION_ERROR for an entry that is not exactly one origin, host or scheme of a server's own. */
export function parseUrlAllowlist(entries: readonly string[]): UrlAllowlist {
  return new Set(entries.map((entry) => (isOwnScheme(entry) ? entry : originIn(entry))));
}

function originIn(entry: string): string {
  const text = /^https?:\/\//.test(entry) ? entry : `https://${entry}`;
  const url = parseUrl(text);
  const plain = url === undefined ? undefined : originOf(url);
  const isExact = text === plain || text === `${plain ?? ''}/` || text === `${plain ?? ''}:443`;
  if (plain === undefined || entry === '' || entry.includes('*') || !isExact || url?.username !== '') {
    const shown = JSON.stringify(showCut(entry, 200));
    throw new RuntimeError(
      'CONFIGURATION_ERROR',
      `url_allowlist entry ${shown} is not one origin such as https://docs.internal, nor one host, nor a server's own scheme such as notes:`,
      { field: 'url_allowlist', entry: showCut(entry, 200) },
    );
  }
  return plain;
}

/**
 * Whether free text is an address a lenient reader would open: a scheme with an authority, or `//host`. An address that
 * text merely quotes is data; a tool that looks for addresses in its text has to declare that argument.
 */
function looksLikeUrl(raw: string): boolean {
  // An address has a colon in its scheme or begins with two slashes; most text ends here.
  if (!raw.includes(':') && !/[\\/]/.test(raw)) return false;
  const text = raw.replace(DELIMITERS, '').replace(TRIMMED, '');
  if (/^[\\/]{2}/.test(text)) return parseUrl(`https:${text}`) !== undefined;
  if (!SCHEME.test(text)) return false;
  const rest = text.slice(text.indexOf(':') + 1);
  // With two slashes it claims an authority, whether it parses or not.
  return /^[\\/]{2}/.test(rest) || (SPECIAL.test(text) && parseUrl(text) !== undefined);
}

function offence(leaf: Leaf, why: string, url?: URL): UrlOffence {
  return {
    pointer: pointerOf(leaf.trail),
    why,
    url: leaf.text,
    host: url?.host ?? '',
  };
}

/** Why one text is not an allowed, canonical URL; undefined when it is. */
function judge(leaf: Leaf, allowed: UrlAllowlist): UrlOffence | undefined {
  const raw = leaf.text;
  const url = parseUrl(raw);
  if (url === undefined) return offence(leaf, 'is not an absolute URL');
  const isNamed = allowed.has(url.protocol);
  if (!WEB.has(url.protocol) && !isNamed) {
    return offence(leaf, `has the scheme ${url.protocol}`, url);
  }
  if (HIDDEN_OR_SPACE.test(raw)) return offence(leaf, 'holds control or invisible characters', url);
  // It names a thing of its server and leads nowhere; that its text starts so is all there is to compare.
  if (isNamed)
    return raw.startsWith(url.protocol) ? undefined : offence(leaf, 'is not written in canonical form', url);
  if (url.username !== '' || url.password !== '') return offence(leaf, 'carries a user part', url);
  if (raw !== url.href && `${raw}/` !== url.href)
    return offence(leaf, 'is not written in canonical form', url);
  if (allowed.has(originOf(url))) return undefined;
  return offence(
    leaf,
    isPrivateAddress(url.hostname) ? 'leads to a private address' : 'is not on the list',
    url,
  );
}

/**
 * Every URL in the arguments that is not allowed, in order of appearance.
 * Declared arguments and keys that name a URL are always judged; other text only for tools that use the network.
 */
export function urlOffences(
  leaves: readonly Leaf[],
  allowed: UrlAllowlist,
  tool: { declared: readonly (readonly string[])[]; usesNetwork: boolean },
  inForce: (host: string) => boolean = () => true,
): UrlOffence[] {
  const found: UrlOffence[] = [];
  const { declared, usesNetwork } = tool;
  for (const leaf of leaves) {
    const isNamed =
      leaf.underUrlKey || (declared.length > 0 && declared.some((tokens) => isBeneath(leaf, tokens)));
    if (!isNamed && !(usesNetwork && looksLikeUrl(leaf.text))) continue;
    const wrong = judge(leaf, allowed) ?? beyondScope(leaf, inForce);
    if (wrong !== undefined) found.push(wrong);
  }
  return found;
}

/** A listed URL whose host is none that workspace, lane, task and tool together leave open. */
function beyondScope(leaf: Leaf, inForce: (host: string) => boolean): UrlOffence | undefined {
  const { href, protocol, hostname, port } = new URL(leaf.text);
  if (!WEB.has(protocol)) return undefined;
  const host = `${hostname}:${port === '' ? (protocol === 'http:' ? '80' : '443') : port}`;
  if (inForce(host)) return undefined;
  return { pointer: pointerOf(leaf.trail), why: 'is outside the network scope in force', url: href, host };
}
