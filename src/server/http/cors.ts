// Owns what a browser has to be told before it lets a page of an allowed origin call here and read the answers. The origin
// has been compared by then; the token of each request is still asked for.
import type { ServerResponse } from 'node:http';
import type { Headers } from './guard.ts';

/** What a page may read of an answer beside its body. */
const READABLE = 'mcp-session-id, www-authenticate, retry-after';
const PREFLIGHT_SECONDS = '600';

/** On every answer to a page; without an Origin there is nobody to tell. */
export function tellOrigin(res: ServerResponse, headers: Headers): void {
  const origin = headers.get('origin');
  if (origin === undefined) return;
  res.setHeader('access-control-allow-origin', origin);
  res.setHeader('access-control-expose-headers', READABLE);
  res.setHeader('vary', 'Origin');
}

export function answerPreflight(res: ServerResponse, methods: string): void {
  res.writeHead(204, {
    'access-control-allow-methods': methods,
    // The star does not stand for the token.
    'access-control-allow-headers': 'authorization, *',
    'access-control-max-age': PREFLIGHT_SECONDS,
  });
  res.end();
}
