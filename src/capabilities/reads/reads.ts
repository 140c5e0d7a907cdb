// Owns the lists and notices of all servers for one process: each through the connection of whoever asks, each notice to
// the principal whose connection it came over and to nobody else.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Downstreams, Lease, PoolIdentity } from '../downstreams.ts';
import type { Session } from '../session.ts';
import type { Notice } from './notices.ts';
import type { ListKind } from './session-reads.ts';
import { Watch } from './watch.ts';

export interface ReadsParts {
  downstreams: Downstreams;
  /** Connections end with the call that they were opened for. */
  isPerCall: boolean;
  /** Why nothing may go out to this server now; looked at after it gave its tools. */
  held: (server: string) => string | undefined;
}

type Listener = (notice: Notice, server: string) => void;

export interface Asked {
  server: string;
  who: PoolIdentity;
  signal: AbortSignal;
}

function nameOf({ tenant, principal }: PoolIdentity): string {
  return JSON.stringify([tenant, principal]);
}

export class Reads {
  readonly #parts: ReadsParts;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #heard = new WeakSet<Session>();

  constructor(parts: ReadsParts) {
    this.#parts = parts;
  }

  /** Throws when the server cannot be used, or gives no list. */
  async list(kind: ListKind, asked: Asked): Promise<JsonObject[]> {
    const { lease, session } = await this.#open(asked);
    try {
      return await session.reads.list(kind, asked.signal);
    } finally {
      this.#end(lease);
    }
  }

  /**
   * Tells of changes of a resource that this principal's connection has subscribed to, keeps the connection, and subscribes anew
   * where it ends; `onEnd` where that fails. Whoever ends it takes the subscription back.
   */
  async watch(
    uri: string,
    asked: Asked,
    notify: (uri: string) => void,
    onEnd: () => void = () => undefined,
  ): Promise<() => void> {
    const lease = this.#lease(asked);
    const open = (signal: AbortSignal): Promise<Session> => this.#session(lease, { ...asked, signal });
    const watch = new Watch({ uri, notify, onEnd, open, leave: () => this.#end(lease) });
    await watch.begin(asked.signal);
    return () => watch.stop();
  }

  /** Told of changed lists on this principal's connections. */
  listen(who: PoolIdentity, listener: Listener): () => void {
    const key = nameOf(who);
    const known = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, known.add(listener));
    return () => {
      known.delete(listener);
      if (known.size === 0) this.#listeners.delete(key);
    };
  }

  async #open(asked: Asked): Promise<{ lease: Lease; session: Session }> {
    const lease = this.#lease(asked);
    try {
      return { lease, session: await this.#session(lease, asked) };
    } catch (thrown) {
      this.#end(lease);
      throw thrown;
    }
  }

  #lease({ server, who: { tenant, principal } }: Asked): Lease {
    const lease = this.#parts.downstreams.lease(server, { tenant, principal });
    if (lease === undefined) throw new RuntimeError('NOT_FOUND', `no server ${server} is configured`);
    return lease;
  }

  async #session(lease: Lease, { server, who, signal }: Asked): Promise<Session> {
    const session = await lease.connection.session(signal);
    // A server that changed what was pinned is found out by its list of tools, before anything else of it counts.
    await session.tools(signal);
    const why = this.#parts.held(server);
    if (why !== undefined) throw new RuntimeError('SPEC_TAMPERED', why, { server });
    this.#hear(session, server, nameOf(who));
    return session;
  }

  #hear(session: Session, server: string, key: string): void {
    if (this.#heard.has(session)) return;
    this.#heard.add(session);
    session.reads.onNotice((notice) => {
      if (notice.kind === 'updated') return;
      for (const listener of this.#listeners.get(key) ?? []) listener(notice, server);
    });
  }

  #end(lease: Lease): void {
    lease.end();
    if (this.#parts.isPerCall && lease.isLast()) void lease.connection.release('closed');
  }
}
