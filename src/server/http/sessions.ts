// Owns the sessions of older clients: opened by `initialize`, found by `Mcp-Session-Id`, ended by DELETE, by idling, or
// with their token.
//
// S1  An id counts only with the token it was given to. With any other it is answered as one that never was.
// S2  A session is idle when nothing of it is open: a stream that its client keeps open keeps the session.
// S3  At its bound a principal loses its own longest idle session, never somebody else's.
import { isInitializeRequest, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import type { JSONRPCMessage, McpServer } from '@modelcontextprotocol/server';
import type { Clock } from '../../base/clock.ts';
import type { Ids } from '../../base/ids.ts';
import type { Connection } from '../connection.ts';
import { createMcpServer } from '../mcp-server.ts';
import { refusal } from './guard.ts';
import type { Refusal } from './guard.ts';
import type { Principal } from './principal.ts';
import { Subscribed } from '../subscribed.ts';
import type { Updates } from '../updates.ts';

export interface SessionOwner {
  /** Of the credential (S1). */
  id: string;
  connection: Connection;
  principal: Principal;
}

export interface Session {
  readonly id: string;
  readonly owner: SessionOwner;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  /** Requests and streams that are open (S2). */
  open: number;
  usedAt: number;
  close(): Promise<void>;
}

interface SessionsParts {
  clock: Clock;
  ids: Ids;
  updates: Updates;
  idleMs: number;
  most: number;
}

export type Found = { ok: true; session: Session } | { ok: false; refusal: Refusal };

export interface Sessions {
  /** The session that this request belongs to; `initialize` without an id begins one. */
  find(owner: SessionOwner, id: string | undefined, message?: JSONRPCMessage): Promise<Found>;
  /** Something of it is open until the returned function is called. */
  enter(session: Session): () => void;
  end(session: Session): Promise<void>;
  /** Of one credential, or of all. */
  endAll(ownerId?: string): Promise<void>;
  readonly size: number;
}

const NEEDS_SESSION =
  'Bad Request: Mcp-Session-Id header is required; initialize gives one, and requests of revision 2026-07-28 need none';

export const NO_SESSION: Refusal = refusal(404, 'Session not found; begin a new one with initialize');

function newTransport(id: string): WebStandardStreamableHTTPServerTransport {
  return new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: () => id });
}

/** The session's own server: the owner's connection, and subscriptions that end with the session. */
async function open(
  owner: SessionOwner,
  { id, at, updates }: { id: string; at: number; updates: Updates },
): Promise<Session> {
  const { connection, principal } = owner;
  const transport = newTransport(id);
  const subscribed = new Subscribed({ connection, places: principal, updates }, (uri) => {
    server.server.sendResourceUpdated({ uri }).catch((error: unknown) => {
      connection.log('debug', 'an update was not delivered', { error });
    });
  });
  const server: McpServer = createMcpServer(
    {
      ...connection,
      subscriptions: {
        subscribe: (uri) => subscribed.sure(uri),
        unsubscribe: (uri) => subscribed.remove(uri),
      },
    },
    'legacy',
  );
  await server.connect(transport);
  return {
    id,
    owner,
    transport,
    open: 0,
    usedAt: at,
    async close() {
      subscribed.close();
      // Ends what is in flight with its signal, and every stream.
      await server.close();
    },
  };
}

class SessionTable implements Sessions {
  readonly #parts: SessionsParts;
  readonly #byId = new Map<string, { session: Session; leave: () => void }>();
  #opening = 0;
  #cancelSweep: (() => void) | undefined;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#byId.size;
  }

  async find(owner: SessionOwner, id: string | undefined, message?: JSONRPCMessage): Promise<Found> {
    if (id !== undefined) {
      const held = this.#byId.get(id);
      if (held === undefined || held.session.owner.id !== owner.id || this.#isIdle(held.session)) {
        return { ok: false, refusal: NO_SESSION };
      }
      return { ok: true, session: held.session };
    }
    if (message === undefined || !isInitializeRequest(message)) {
      return { ok: false, refusal: refusal(400, NEEDS_SESSION) };
    }
    return this.#begin(owner);
  }

  enter(session: Session): () => void {
    session.open += 1;
    return () => {
      session.open -= 1;
      session.usedAt = this.#parts.clock.monotonic();
    };
  }

  async end(session: Session): Promise<void> {
    const held = this.#byId.get(session.id);
    if (held === undefined) return;
    this.#byId.delete(session.id);
    held.leave();
    await session.close();
  }

  async endAll(ownerId?: string): Promise<void> {
    const all = [...this.#byId.values()].map(({ session }) => session);
    const chosen = ownerId === undefined ? all : all.filter(({ owner }) => owner.id === ownerId);
    await Promise.all(chosen.map((session) => this.end(session)));
    if (ownerId === undefined) this.#cancelSweep?.();
  }

  async #begin(owner: SessionOwner): Promise<Found> {
    const { ids, clock, most, updates } = this.#parts;
    let leave = owner.principal.enter('sessions');
    if (leave === undefined || this.#byId.size >= most) {
      const oldest = this.#oldestOf(owner.principal);
      if (oldest !== undefined) await this.end(oldest);
      leave ??= owner.principal.enter('sessions');
    }
    if (leave === undefined) return { ok: false, refusal: tooMany('this principal has') };
    if (this.#byId.size + this.#opening >= most) {
      leave();
      return { ok: false, refusal: tooMany('this server has') };
    }
    const id = Buffer.from(ids.bytes(32)).toString('base64url');
    this.#opening += 1;
    try {
      const session = await open(owner, { id, at: clock.monotonic(), updates });
      this.#byId.set(id, { session, leave });
      this.#arm();
      return { ok: true, session };
    } catch (thrown) {
      leave();
      throw thrown;
    } finally {
      this.#opening -= 1;
    }
  }

  /** Of those with nothing open; another token's too, for the bound is the principal's. */
  #oldestOf(principal: Principal): Session | undefined {
    return [...this.#byId.values()]
      .map(({ session }) => session)
      .filter((session) => session.owner.principal === principal && session.open === 0)
      .sort((a, b) => a.usedAt - b.usedAt)[0];
  }

  #isIdle({ open: opened, usedAt }: Session): boolean {
    return opened === 0 && this.#parts.clock.monotonic() - usedAt >= this.#parts.idleMs;
  }

  #arm(): void {
    const { clock, idleMs } = this.#parts;
    if (this.#byId.size === 0) return;
    this.#cancelSweep ??= clock.after(Math.min(Math.max(idleMs / 4, 50), 30_000), () => {
      this.#cancelSweep = undefined;
      for (const { session } of [...this.#byId.values()]) if (this.#isIdle(session)) void this.end(session);
      this.#arm();
    });
  }
}

function tooMany(whose: string): Refusal {
  return refusal(429, `Too many sessions: ${whose} as many as it may.`, { 'retry-after': '30' });
}

export function createSessions(parts: SessionsParts): Sessions {
  return new SessionTable(parts);
}
