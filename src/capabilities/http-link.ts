// Owns the way to a server over Streamable HTTP: headers with secrets from outside the configuration, bounds on what comes
// back, and the signs by which a session that the server no longer knows is told from any other failure.
//
// H1  Nothing of the caller's request goes into a header: what is sent is what the configuration names.
// H2  A message or an answer beyond the bounds ends the connection, and only it.
// H3  A 404, or the 400 that servers send for a session id they do not know, is a lost session, and what was asked in that
//     very request did not run.
import type { Transport } from '@modelcontextprotocol/client';
import { RuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { Clock } from '../base/clock.ts';
import type { Environment } from '../kernel/sandbox/environment.ts';
import { resolveValues } from './environment.ts';
import { guardedBody } from './http-body.ts';
import type { Link } from './link.ts';
import type { LossCause } from './sessions/capability-session.ts';
import { NOT_SENT, SESSION_GONE } from './transport.ts';

interface HttpDeps {
  clock: Clock;
  environment: Environment;
}

const STALE = /session/i;
const MAX_ERROR_BYTES = 8192;
// Before these the server cannot have heard of the request.
const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function causeCode(thrown: unknown): unknown {
  const cause: unknown = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
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
    const limit = new Promise<void>((resolve) => {
      this.#clock.after(1000, resolve);
    });
    if (this.#fault === undefined) {
      await Promise.race([this.#transport?.terminateSession().catch(() => undefined), limit]);
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
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (thrown) {
      throw this.#unreached(thrown, init);
    }
    const hadSession = new Headers(init?.headers).has('mcp-session-id');
    if (hadSession && (response.status === 404 || response.status === 400)) return this.#refused(response);
    if (response.body === null) return response;
    const onBreach = (why: string): void => {
      this.#fail(new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', `${name} ${why}`, { server: name }));
      void this.#transport?.close().catch(() => undefined);
    };
    const body = guardedBody(response, { maxBytes: maxMessageBytes, clock: this.#clock, onBreach });
    return new Response(body, response);
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
    const text = (await response.text()).slice(0, MAX_ERROR_BYTES);
    const { status, headers } = response;
    if (status === 404 || STALE.test(text)) {
      const fault = new RuntimeError(
        'CAPABILITY_SESSION_EXPIRED',
        `${this.#server.name} no longer knows the session (HTTP ${status})`,
        { server: this.#server.name },
      );
      this.#fail(fault, status === 404 ? 'http_404' : 'http_400_stale');
      throw new RuntimeError(fault.code, fault.message, { ...fault.details, [SESSION_GONE]: true });
    }
    return new Response(text, { status, headers });
  }
}

/** Sends nothing. Throws when a header's value cannot be had. */
export async function openHttpLink(server: DownstreamServer, deps: HttpDeps): Promise<Link> {
  const headers = await resolveValues(server, 'headers', deps.environment);
  return new HttpLink(server, headers, deps.clock).open();
}
