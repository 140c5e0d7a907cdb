// Owns the supervision of one downstream server: started at its first use, started again after it broke, left alone for
// a while when it keeps breaking, and ended with us. It knows nothing of any other server.
//
// C1: at most one child of a server is alive or starting.
// C2: whoever gets no session gets DOWNSTREAM_UNAVAILABLE, and nothing was sent for them.
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { ServerIdentity } from './pin-file.ts';
import type { Era, Session, SessionDeps } from './session.ts';
import { transition } from './state.ts';
import type { ConnectionEvent, ConnectionState } from './state.ts';

export interface Connection {
  readonly server: DownstreamServer;
  readonly identity: ServerIdentity;
  state(): ConnectionState;
  /** The live session, started if need be. Waiting ends with the signal; the start goes on for others. */
  session(signal: AbortSignal): Promise<Session>;
  /** Ends the child and waits until it is gone; final. */
  close(): Promise<void>;
}

function unavailable(server: string, reason: string, details: Record<string, unknown> = {}): RuntimeError {
  return new RuntimeError('DOWNSTREAM_UNAVAILABLE', `the server ${server} cannot be used: ${reason}`, {
    server,
    ...details,
  });
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof RuntimeError) return thrown.message;
  return thrown instanceof Error ? thrown.message.slice(0, 300) : 'unknown';
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

/** Settles with the promise or rejects with the signal's reason, whichever is first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(new RuntimeError('CANCELED', 'the wait for the server was ended'));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise
      .then(resolve, (thrown: unknown) => {
        reject(asRuntimeError(thrown));
      })
      .finally(() => {
        signal.removeEventListener('abort', onAbort);
      });
  });
}

export function createConnection(
  server: DownstreamServer,
  identity: ServerIdentity,
  deps: SessionDeps,
): Connection {
  const { name } = server;
  const { clock } = deps;
  const closing = new AbortController();
  let state: ConnectionState = { state: 'idle', failures: 0 };
  let current: Session | undefined;
  let starting: Promise<Session> | undefined;
  // What `auto` found out holds for the next start too: asking costs a round trip, or even a child.
  let era: Era = server.era;

  const move = (event: ConnectionEvent): void => void (state = transition(state, event));
  const broke = (reason: string): void => move({ event: 'broke', at: clock.monotonic(), reason });
  const start = async (): Promise<Session> => {
    move({ event: 'start' });
    try {
      // Loaded at the first start, with all that speaks to a child.
      const { startSession } = await import('./session.ts');
      const session = await startSession(server, deps, era, closing.signal);
      era = session.era;
      current = session;
      move({ event: 'started', at: clock.monotonic() });
      watch(session);
      if (closing.signal.aborted) throw unavailable(name, 'it is being closed');
      return session;
    } catch (thrown) {
      broke(reasonOf(thrown));
      throw unavailable(name, reasonOf(thrown), { cause: asRuntimeError(thrown).code });
    } finally {
      starting = undefined;
    }
  };
  const watch = (session: Session): void => {
    void session.ended.then(({ message }) => {
      if (current !== session) return;
      current = undefined;
      broke(message);
    });
  };

  return {
    server,
    identity,
    state: () => state,
    async session(signal) {
      // A session that broke a bound is dying; the next one waits until it is gone (C1).
      if (current?.fault() !== undefined) await untilAborted(current.ended, signal);
      if (current !== undefined) return current;
      assertUsable(name, state, clock.monotonic());
      starting ??= start();
      return untilAborted(starting, signal);
    },
    async close() {
      move({ event: 'close' });
      closing.abort();
      await starting?.catch(() => undefined);
      const session = current;
      current = undefined;
      await session?.close();
    },
  };
}
