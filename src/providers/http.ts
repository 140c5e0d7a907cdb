// Owns the one way to a provider: a fetch that stays on the configured origin, follows no redirect, carries no cookie,
// reads at most the allowed bytes, and turns every answer but a 2xx into a RuntimeError before a vendor package sees it.
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { httpFailure, malformed, transportFailure } from './failure.ts';

/** What one request and its answer were; filled in as it goes. */
export interface Exchange {
  status?: number;
  /** Bytes of a 2xx answer that came; above 0 the request is never made again. */
  answerBytes: number;
  /** What ended it first; kept here, because a vendor package wraps what a body stream throws. */
  failure?: RuntimeError;
}

export interface HttpLimits {
  baseUrl: URL;
  maxResponseBytes: number;
  clock: Clock;
  send: typeof fetch;
}

// An error body is read for its message only.
const MAX_ERROR_BYTES = 64 * 1024;

function ended(exchange: Exchange, failure: RuntimeError): RuntimeError {
  exchange.failure ??= failure;
  return exchange.failure;
}

/** The body as text, or undefined when it is longer than `max` or breaks off. */
async function readAtMost(response: Response, max: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes > max) return undefined;
      chunks.push(chunk as Uint8Array);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Milliseconds of a Retry-After header: seconds, or an HTTP date. */
export function retryAfterMs(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d{1,10}(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000);
  // Every form of an HTTP date starts with the name of a day; Date.parse alone would take far more for a date.
  const at = /^(mon|tue|wed|thu|fri|sat|sun)/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - clock.now());
}

function assertPinned(url: URL, base: URL): void {
  const folder = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
  if (url.origin !== base.origin || !url.pathname.startsWith(folder)) {
    throw new RuntimeError(
      'PROVIDER_HTTP_ERROR',
      'A request left the configured base URL and was not made.',
      {
        reason: 'origin refused',
      },
    );
  }
}

function redirectRefused(response: Response, url: URL): RuntimeError {
  const location = response.headers.get('location');
  const target =
    location !== null && URL.canParse(location, url.href) ? new URL(location, url).origin : undefined;
  return new RuntimeError(
    'PROVIDER_HTTP_ERROR',
    'The model provider answered with a redirect, which is not followed.',
    {
      response_status: response.status,
      reason: 'redirect refused',
      ...(target === undefined ? {} : { redirect_origin: target }),
    },
  );
}

function tooLarge(limit: number): RuntimeError {
  return new RuntimeError('PROVIDER_MALFORMED_RESPONSE', 'The answer of the model provider is too large.', {
    reason: 'too large',
    max_response_bytes: limit,
  });
}

/** The body, counted; beyond the limit the connection is given up. */
function limited(
  body: ReadableStream<Uint8Array>,
  options: { exchange: Exchange; max: number; isEventStream: boolean },
): ReadableStream<Uint8Array> {
  const { exchange, max } = options;
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          // A last event without its blank line would be dropped; a cut one stays unreadable with it.
          if (options.isEventStream) controller.enqueue(new TextEncoder().encode('\n\n'));
          controller.close();
          return;
        }
        exchange.answerBytes += value.byteLength;
        if (exchange.answerBytes > max) {
          controller.error(ended(exchange, tooLarge(max)));
          await reader.cancel();
          return;
        }
        controller.enqueue(value);
      } catch (thrown) {
        controller.error(ended(exchange, transportFailure(thrown)));
      }
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
}

/** The answer, if a vendor package may read it; the caller ends what is left of any other. */
async function checked(response: Response, url: URL, limits: HttpLimits): Promise<Response> {
  if (response.status >= 300 && response.status < 400) throw redirectRefused(response, url);
  if (!response.ok) {
    const after = retryAfterMs(response.headers.get('retry-after'), limits.clock);
    const body = await readAtMost(response, MAX_ERROR_BYTES);
    throw httpFailure(response.status, body, after);
  }
  if (Number(response.headers.get('content-length') ?? 0) > limits.maxResponseBytes) {
    throw tooLarge(limits.maxResponseBytes);
  }
  if (response.body === null) throw malformed('the answer is empty');
  return response;
}

/** A fetch for one request; what happens to it is written into `exchange`. */
export function createFetch(limits: HttpLimits, exchange: Exchange): typeof fetch {
  return async (input, init) => {
    try {
      const url = new URL(input instanceof Request ? input.url : input);
      assertPinned(url, limits.baseUrl);
      const response = await limits.send(url, { ...init, redirect: 'manual', credentials: 'omit' });
      exchange.status = response.status;
      const { body, status, headers } = await checked(response, url, limits);
      if (body === null) return new Response(null, { status, headers });
      const isEventStream = headers.get('content-type')?.includes('text/event-stream') === true;
      const options = { exchange, max: limits.maxResponseBytes, isEventStream };
      return new Response(limited(body, options), { status, headers });
    } catch (thrown) {
      throw ended(exchange, thrown instanceof RuntimeError ? thrown : transportFailure(thrown));
    }
  };
}
