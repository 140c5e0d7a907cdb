// Owns the way to a server over Streamable HTTP: headers with secrets from outside the configuration, bounds on what comes
// back, and the signs by which a session that the server no longer knows is told from any other failure.
//
// H1  Nothing of the caller's request goes into a header: what is sent is what the configuration names.
// H2  A message or an answer beyond the bounds ends the connection, and only it; so does a stream that is cut, because
//     whoever waits for its answer would wait in vain.
// H3  A 404 to a message, or the 400 that servers send for a session id they do not know, is a lost session, and what was
//     asked in that very request did not run.
// H4  A redirect is not followed: the headers and the arguments are for the configured address only.
import type { Transport } from '@modelcontextprotocol/client';
import { RuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { Clock } from '../base/clock.ts';
import { resolveValues } from './environment.ts';
import type { Outside } from './environment.ts';
import { guardedBody, textOf } from './http-body.ts';
import type { Link } from './link.ts';
import type { LossCause } from './sessions/capability-session.ts';
import { NOT_SENT, SESSION_GONE } from './transport.ts';

interface HttpDeps extends Outside {
  clock: Clock;
}

// What servers say with a 400 of a session that they do not know; a word of one in an argument's name or a sentence is not that.
const STALE =
  /\b(?:no|not|invalid|unknown|expired|stale|missing|bad)\b[^.:]{0,30}\bsession\b|\bsession\b[^.:]{0,30}\b(?:not|no longer|invalid|unknown|expired|stale|missing|closed|required)\b/i;
const MAX_ERROR_BYTES = 8192;
// Before these the server cannot have heard of the request.
const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

// A server that hangs up on its own stream says when to come back; it is believed within these.
const REST_MS = 1000;
const LONGEST_REST_MS = 30_000;

function causeCode(thrown: unknown): unknown {
  const cause: unknown = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}

/** Whether an answer comes on the stream; one for the server's own messages may be cut by whoever stands between. */
function isAwaited(init: RequestInit | undefined): boolean {
  const isListening = typeof init?.body === 'string' && init.body.includes('"subscriptions/listen"');
  return init?.method === 'POST' && !isListening;
}

/**
 * One request's own end, told by the signal that all requests of a connection share. The platform's listeners stay on a
 * signal long after their request: a shared one would collect them.
 */
function ownSignal(shared: AbortSignal | null | undefined): { signal: AbortSignal; over: () => void } {
  const own = new AbortController();
  const onAbort = (): void => own.abort(shared?.reason);
  if (shared?.aborted === true) onAbort();
  shared?.addEventListener('abort', onAbort, { once: true });
  return { signal: own.signal, over: () => shared?.removeEventListener('abort', onAbort) };
}

class HttpLink implements Link {
  readonly ended: Promise<RuntimeError>;
  readonly #server: DownstreamServer;
  readonly #headers: Record<string, string>;
  readonly #clock: Clock;
  #transport: (Transport & { terminateSession(): Promise<void> }) | undefined;
  #fault: RuntimeError | undefined;
  #loss: LossCause | undefined;
  #resolveEnded: (fault: RuntimeError) => void = () => undefined;

  constructor(server: DownstreamServer, headers: Record<string, string>, clock: Clock) {
    this.#server = server;
    this.#headers = headers;
    this.#clock = clock;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  async open(): Promise<this> {
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
    this.#transport = new StreamableHTTPClientTransport(new URL(this.#server.url ?? ''), {
      fetch: (url, init) => this.#fetch(url, init),
      requestInit: { headers: this.#headers },
      reconnectionScheduler: (reconnect, delayMs) =>
        this.#clock.after(Math.min(Math.max(delayMs, REST_MS), LONGEST_REST_MS), reconnect),
    });
    return this;
  }

  get transport(): Transport {
    if (this.#transport === undefined) throw new RuntimeError('INTERNAL', 'the link is not open');
    return this.#transport;
  }

  fault(): RuntimeError | undefined {
    return this.#fault;
  }

  loss(): LossCause | undefined {
    return this.#loss;
  }

  garbage(): number {
    return 0;
  }

  /** Tells the server that the session is over, for as long as that may take. */
  async close(): Promise<void> {
    if (this.#fault === undefined) {
      let cancelLimit = (): void => undefined;
      const limit = new Promise<void>((resolve) => {
        cancelLimit = this.#clock.after(1000, resolve);
      });
      await Promise.race([this.#transport?.terminateSession().catch(() => undefined), limit]);
      cancelLimit(); // A timer that is left keeps a command from ending.
    }
    await this.destroy();
  }

  async destroy(): Promise<void> {
    this.#end(
      new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', `the connection to ${this.#server.name} was closed`),
    );
  }

  #end(fault: RuntimeError): void {
    this.#fault ??= fault;
    void this.#transport?.close().catch(() => undefined);
    this.#resolveEnded(this.#fault);
  }

  /** The request at hand fails with its own reason first; the rest of the connection a turn later. */
  #fail(fault: RuntimeError, loss?: LossCause): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    this.#loss = loss;
    this.#clock.after(0, () => this.#end(fault));
  }

  async #fetch(url: string | URL, init: RequestInit | undefined): Promise<Response> {
    const { name, maxMessageBytes } = this.#server;
    if (this.#fault !== undefined) {
      throw new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', this.#fault.message, { [NOT_SENT]: true });
    }
    const own = ownSignal(init?.signal);
    let response: Response;
    try {
      response = await fetch(url, { ...init, signal: own.signal, redirect: 'manual' });
    } catch (thrown) {
      own.over();
      throw this.#unreached(thrown, init);
    }
    if (!response.ok || response.body === null) {
      return this.#withoutBody(response, init).finally(own.over);
    }
    const end = (fault: RuntimeError): void => {
      this.#fail(fault);
      void this.#transport?.close().catch(() => undefined);
    };
    const body = guardedBody(response, init?.method ?? 'GET', {
      maxBytes: maxMessageBytes,
      clock: this.#clock,
      onOver: own.over,
      onBreach: (why) => {
        end(new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', `${name} ${why}`, { server: name }));
      },
      onCut: () => {
        if (!isAwaited(init) || init?.signal?.aborted === true) return;
        const why = `${name} cut its answer short`;
        end(new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', why, { server: name }));
      },
    });
    return new Response(body, response);
  }

  /** What is told by its head, or by a few words. */
  async #withoutBody(response: Response, init: RequestInit | undefined): Promise<Response> {
    const { status, ok } = response;
    if (status >= 300 && status < 400) return this.#redirected(response);
    // A server without a stream of its own, or without an end of sessions, may not know those methods at all.
    const hadSession = init?.method === 'POST' && new Headers(init.headers).has('mcp-session-id');
    if (hadSession && (status === 404 || status === 400)) return this.#refused(response);
    return ok ? response : boundedError(response);
  }

  /** H4. */
  async #redirected(response: Response): Promise<never> {
    await response.body?.cancel().catch(() => undefined);
    const { name } = this.#server;
    const fault = new RuntimeError(
      'SUBPROCESS_PROTOCOL_ERROR',
      `${name} answered with a redirect (HTTP ${response.status}), which is not followed`,
      { server: name },
    );
    this.#fail(fault);
    throw fault;
  }

  #unreached(thrown: unknown, init: RequestInit | undefined): unknown {
    if (init?.signal?.aborted === true) return thrown;
    const { name } = this.#server;
    const code = causeCode(thrown);
    const isUnsent = UNSENT.has(code);
    const fault = new RuntimeError(
      'SUBPROCESS_TRANSPORT_FAILED',
      `${name} cannot be reached${typeof code === 'string' ? ` (${code})` : ''}`,
      isUnsent ? { [NOT_SENT]: true } : {},
    );
    this.#fail(fault, 'connection_lost');
    return fault;
  }

  /** H3. */
  async #refused(response: Response): Promise<Response> {
    const error = await boundedError(response);
    const { status } = error;
    const text = await error.clone().text();
    if (status === 404 || STALE.test(text)) {
      const fault = new RuntimeError(
        'CAPABILITY_SESSION_EXPIRED',
        `${this.#server.name} no longer knows the session (HTTP ${status})`,
        { server: this.#server.name },
      );
      this.#fail(fault, status === 404 ? 'http_404' : 'http_400_stale');
      throw new RuntimeError(fault.code, fault.message, { ...fault.details, [SESSION_GONE]: true });
    }
    return error;
  }
}

/** An error with as much of its text as is read of it. */
async function boundedError(response: Response): Promise<Response> {
  const { status, headers } = response;
  const text = await textOf(response, MAX_ERROR_BYTES);
  const kept = new Headers(headers);
  for (const name of ['content-length', 'content-encoding']) kept.delete(name);
  return new Response(text, { status, headers: kept });
}

/** Sends nothing. Throws when a header's value cannot be had. */
export async function openHttpLink(server: DownstreamServer, deps: HttpDeps): Promise<Link> {
  const headers = await resolveValues(server, 'headers', deps);
  return new HttpLink(server, headers, deps.clock).open();
}
