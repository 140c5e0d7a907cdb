// Owns what is refused from the head of a request alone, on every route and before anything is looked up: doubled headers,
// foreign Host and Origin, too many headers, odd framing. Pure.
//
// Measured on the SDK's own guards: they take the first of two Hosts, and parse an Origin instead of comparing it. Here a
// header that decides anything stands once, and names are compared as text, so nothing that is repaired on the way fits.

/** A refusal before any request has an id. */
export interface Refusal {
  status: 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 431 | 500 | 503;
  /** JSON-RPC error code of the body. */
  code: number;
  message: string;
  headers?: Readonly<Record<string, string>>;
}

export function refusal(status: Refusal['status'], message: string, headers?: Refusal['headers']): Refusal {
  return { status, code: status === 404 ? -32_001 : -32_000, message, ...(headers ? { headers } : {}) };
}

export interface Head {
  method: string;
  url: string;
  /** Names and values in turn, as they came. */
  rawHeaders: readonly string[];
}

export interface GuardRules {
  /** Host headers, in small letters. */
  hosts: ReadonlySet<string>;
  origins: ReadonlySet<string>;
  maxHeaders: number;
  path: string;
}

/** Headers by small name; of those that stand once. */
export type Headers = ReadonlyMap<string, string>;

export type Judged = { ok: true; headers: Headers } | { ok: false; refusal: Refusal };

/** Whatever we or the SDK decide by. Two of one are two readings of one request. */
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'origin',
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'expect',
  'mcp-session-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'last-event-id',
]);

const METHODS: readonly string[] = ['GET', 'POST', 'DELETE'];
export const ALLOWED: string = METHODS.join(', ');

function no(status: Refusal['status'], message: string, headers?: Refusal['headers']): Judged {
  return { ok: false, refusal: refusal(status, message, headers) };
}

/** The header map, or the name that stands twice. */
function collect(raw: readonly string[]): { headers: Map<string, string> } | { doubled: string } {
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    const value = raw[at + 1] ?? '';
    const before = headers.get(name);
    if (before === undefined) headers.set(name, value);
    else if (SINGLE.has(name) || name.startsWith('mcp-')) return { doubled: name };
    else headers.set(name, `${before}, ${value}`);
  }
  return { headers };
}

function judgeFraming(headers: Headers): Judged | undefined {
  const encoding = headers.get('transfer-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') {
    return no(400, 'This transfer encoding is not taken; chunked is.');
  }
  if (encoding !== undefined && headers.has('content-length')) {
    return no(400, 'Transfer-Encoding and Content-Length exclude each other.');
  }
  return undefined;
}

/** Whether a browser asks if a page may call, rather than calling. */
export function isPreflight(method: string, headers: Headers): boolean {
  return method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method');
}

export function judgeHead(head: Head, rules: GuardRules): Judged {
  if (head.rawHeaders.length / 2 > rules.maxHeaders)
    return no(431, `Too many headers: at most ${rules.maxHeaders} are taken.`);
  const collected = collect(head.rawHeaders);
  if ('doubled' in collected) return no(400, `The header ${collected.doubled} stands twice.`);
  const { headers } = collected;
  // Before path and method: a page of another site must not even learn which routes there are.
  const host = headers.get('host');
  if (host === undefined || !rules.hosts.has(host.toLowerCase())) {
    return no(403, 'This Host is not served here; runtime.http.allowed_hosts names those that are.');
  }
  const origin = headers.get('origin');
  if (origin !== undefined && !rules.origins.has(origin)) {
    return no(403, 'This Origin may not call here; runtime.http.allowed_origins names those that may.');
  }
  if (head.url !== rules.path)
    return no(404, `There is nothing at this path; MCP is served at ${rules.path} and nowhere else.`);
  if (!METHODS.includes(head.method) && !isPreflight(head.method, headers))
    return no(405, `Method not allowed; this path takes ${ALLOWED}.`, { allow: ALLOWED });
  return judgeFraming(headers) ?? { ok: true, headers };
}

/** `application/json`, alone or with the one charset JSON has. */
export function isJson(contentType: string | undefined): boolean {
  return (
    contentType !== undefined &&
    /^application\/json(?:[ \t]*;[ \t]*charset="?utf-8"?)?[ \t]*$/i.test(contentType)
  );
}

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(host);
}

function inBrackets(host: string): string {
  return host.includes(':') ? `[${host}]` : host.toLowerCase();
}

/** What `Host` and `Origin` may say to a server that listens there. */
export function ownNames(host: string, port: number): { hosts: string[]; origins: string[] } {
  const names = isLoopback(host) ? [...new Set([inBrackets(host), ...LOOPBACK_NAMES])] : [inBrackets(host)];
  const hosts = names.map((name) => (port === 80 ? name : `${name}:${port}`));
  return { hosts, origins: hosts.map((name) => `http://${name}`) };
}
