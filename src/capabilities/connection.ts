// Owns the supervision of one downstream server: started at its first use, started again after it broke, left alone for
// a while when it keeps breaking, and ended with us. It knows nothing of any other server.
//
// C1: at most one child of a server is alive or starting.
// C2: whoever gets no session gets DOWNSTREAM_UNAVAILABLE, and nothing was sent for them.
import type { Until } from '../base/abort.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { LiveList } from './definitions.ts';
import type { ServerIdentity } from './pin-file.ts';
import type { Era } from './client.ts';
import type { CloseReason, Session, SessionDeps } from './session.ts';
import { transition } from './state.ts';
import type { ConnectionEvent, ConnectionState } from './state.ts';
import { untilAborted } from './until-aborted.ts';

export interface ConnectionDeps extends SessionDeps {
  /** What is known of the server's protocol, from whichever connection found it out. */
  eras: { get(): Era; learn(era: Era): void };
  /** Takes secrets out of what a server says of its own end, which health and callers are told. Absent: there are none. */
  redact?: (text: string) => string;
}

export interface Connection {
  readonly server: DownstreamServer;
  readonly identity: ServerIdentity;
  state(): ConnectionState;
  /** The live session, started if need be. The waiting may end; the start goes on for others. */
  session(until: Until): Promise<Session>;
  /** What the running child listed last; undefined while there is none. Starts nothing. */
  listed(): LiveList | undefined;
  /** Whether there is a session, or one is being started. */
  isOpen(): boolean;
  /** Ends the running session, its calls in flight with it; the next use starts another. */
  release(why: CloseReason): Promise<void>;
  /** Ends the child and waits until it is gone; final. */
  close(): Promise<void>;
}

function unavailable(server: string, reason: string, details: Record<string, unknown> = {}): RuntimeError {
  return new RuntimeError('DOWNSTREAM_UNAVAILABLE', `the server ${server} cannot be used: ${reason}`, {
    server,
    ...details,
  });
}

/** Redacted before it is cut: a cut secret is no longer recognized. */
function reasonOf(thrown: unknown, redact: (text: string) => string): string {
  if (thrown instanceof RuntimeError) return redact(thrown.message);
  return thrown instanceof Error ? redact(thrown.message).slice(0, 300) : 'unknown';
}

/** C2: why no session is to be had right now. */
function assertUsable(server: string, state: ConnectionState, now: number): void {
  if (state.state === 'closed') throw unavailable(server, 'it is closed');
  if (state.state === 'failed' && now < state.until) {
    const waitMs = Math.ceil(state.until - now);
    throw unavailable(server, `${state.reason}; it is not started again for ${waitMs} ms`, {
      retry_after_ms: waitMs,
      failures: state.failures,
    });
  }
}

class SupervisedConnection implements Connection {
  readonly server: DownstreamServer;
  readonly identity: ServerIdentity;
  readonly #deps: ConnectionDeps;
  readonly #redact: (text: string) => string;
  readonly #closing = new AbortController();
  #state: ConnectionState = { state: 'idle', failures: 0 };
  #current: Session | undefined;
  #starting: Promise<Session> | undefined;
  #releasing: Promise<void> | undefined;

  constructor(server: DownstreamServer, identity: ServerIdentity, deps: ConnectionDeps) {
    this.server = server;
    this.identity = identity;
    this.#deps = deps;
    this.#redact = deps.redact ?? ((text) => text);
  }

  state(): ConnectionState {
    return this.#state;
  }

  listed(): LiveList | undefined {
    return this.#current?.listed();
  }

  async session(until: Until): Promise<Session> {
    // A session that broke a bound is dying; the next one waits until it is gone (C1).
    if (this.#current?.fault() !== undefined) await untilAborted(this.#current.ended, until);
    if (this.#releasing !== undefined) await untilAborted(this.#releasing, until);
    if (this.#current !== undefined) return this.#current;
    assertUsable(this.server.name, this.#state, this.#deps.clock.monotonic());
    this.#starting ??= this.#start();
    return untilAborted(this.#starting, until);
  }

  isOpen(): boolean {
    return this.#current !== undefined || this.#starting !== undefined;
  }

  release(why: CloseReason): Promise<void> {
    const session = this.#current;
    if (session === undefined) return this.#releasing ?? Promise.resolve();
    this.#current = undefined;
    this.#move({ event: 'released' });
    this.#releasing = session.close(why).finally(() => {
      this.#releasing = undefined;
    });
    return this.#releasing;
  }

  async close(): Promise<void> {
    this.#move({ event: 'close' });
    this.#closing.abort();
    await this.#starting?.catch(() => undefined);
    await this.#releasing;
    const session = this.#current;
    this.#current = undefined;
    await session?.close('closed');
  }

  #move(event: ConnectionEvent): void {
    this.#state = transition(this.#state, event);
  }

  #broke(reason: string): void {
    this.#move({ event: 'broke', at: this.#deps.clock.monotonic(), reason });
  }

  async #start(): Promise<Session> {
    const { name } = this.server;
    this.#move({ event: 'start' });
    try {
      // Loaded at the first start, with all that speaks to a child.
      const { startSession } = await import('./session.ts');
      const session = await startSession(
        this.server,
        this.#deps,
        this.#deps.eras.get(),
        this.#closing.signal,
      );
      this.#deps.eras.learn(session.era);
      this.#current = session;
      this.#move({ event: 'started', at: this.#deps.clock.monotonic() });
      this.#watch(session);
      if (this.#closing.signal.aborted) throw unavailable(name, 'it is being closed');
      return session;
    } catch (thrown) {
      const reason = reasonOf(thrown, this.#redact);
      this.#broke(reason);
      throw unavailable(name, reason, { cause: asRuntimeError(thrown).code });
    } finally {
      this.#starting = undefined;
    }
  }

  #watch(session: Session): void {
    void session.ended.then((ended) => {
      if (this.#current !== session) return;
      this.#current = undefined;
      this.#broke(reasonOf(ended, this.#redact));
    });
  }
}

/** Starts nothing. */
export function createConnection(
  server: DownstreamServer,
  identity: ServerIdentity,
  deps: ConnectionDeps,
): Connection {
  return new SupervisedConnection(server, identity, deps);
}
