// Owns the pool of downstream connections of one process: one for each server and identity, ended when nobody uses it for
// a while, and never more than the cap.
//
// Q1  A connection serves one tenant's one principal under one policy; nobody else's call ever goes through it.
// Q2  A connection that somebody uses is never ended to make room.
import type { Clock } from '../base/clock.ts';
import { digestJson, sha256 } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { Era } from './client.ts';
import { createConnection } from './connection.ts';
import type { Connection, ConnectionDeps } from './connection.ts';
import type { ConnectionState } from './state.ts';
import { serverIdentity } from './pin-file.ts';
import type { PathTokens, ServerIdentity } from './pin-file.ts';
import type { CloseReason, SessionDeps } from './session.ts';

/** On whose behalf a connection is used. */
export interface PoolIdentity {
  tenant: string;
  principal: string;
}

/** The use of a connection by one call. */
export interface Lease {
  readonly connection: Connection;
  readonly who: PoolIdentity;
  readonly poolKey: string;
  /** Must be called when the call is over. */
  end(): void;
  /** Ends the connection once nobody uses it any longer. */
  retire(why: CloseReason): void;
  /** Whether nobody else uses the connection now. */
  isOnly(): boolean;
  /** Whether nobody else uses the connection, once it was ended. */
  isLast(): boolean;
}

export interface ServerStanding {
  state: 'not started here' | ConnectionState['state'];
  /** Why the last start or connection failed, where none has come up since. */
  failure?: string;
}

export interface Downstreams {
  /** A connection for looking, at lists and states only; undefined for an unknown server. */
  connection(server: string): Connection | undefined;
  /** Undefined for an unknown server. Throws TOO_BUSY when every connection that is open is in use (Q2). */
  lease(server: string, who: PoolIdentity): Lease | undefined;
  /** How the server stands in this process: one that serves anybody serves. Starts nothing. */
  standing(server: string): ServerStanding;
  poolKey(server: string, who: PoolIdentity): string | undefined;
  all(): readonly Connection[];
  /** Ends every connection and waits until all are gone. */
  close(): Promise<void>;
}

export interface DownstreamOptions extends SessionDeps, Pick<ConnectionDeps, 'redact'> {
  servers: Readonly<Record<string, DownstreamServer>>;
  /** Absolute directories that stand as tokens in the pin file. */
  pathTokens?: PathTokens;
  policyDigest?: string;
  /** Default: never. */
  idleMs?: number;
  /** Default: no cap. */
  maxOpen?: number;
}

interface Pooled {
  connection: Connection;
  who: PoolIdentity;
  poolKey: string;
  users: number;
  /** Why it ends with its last user. */
  retires?: CloseReason;
  usedAt: number;
  /** Set while it is known when to look whether anybody used it. */
  cancelIdle: (() => void) | undefined;
}

/** What `auto` found out about a server, and when: asking costs a round trip, or even a child. */
const VERDICT_MS = 24 * 60 * 60 * 1000;

class EraVerdicts {
  readonly #clock: Clock;
  readonly #found = new Map<string, { era: Era; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(server: DownstreamServer): Era {
    const found = this.#found.get(server.name);
    const isFresh = found !== undefined && this.#clock.monotonic() - found.at < VERDICT_MS;
    return isFresh && server.era === 'auto' ? found.era : server.era;
  }

  learn(server: DownstreamServer, era: Era): void {
    this.#found.set(server.name, { era, at: this.#clock.monotonic() });
  }
}

// Server and policy stay what they are, so a key is computed once; beyond this all are, anew.
const MOST_KEYS = 1024;

function forgetIdle(pooled: Pooled): void {
  pooled.cancelIdle?.();
  pooled.cancelIdle = undefined;
}

const NOBODY: PoolIdentity = { tenant: '', principal: '' };

/** Whose kept home a server's process has; the same under every policy. */
function ownerDigest({ tenant, principal }: PoolIdentity): string {
  return sha256(JSON.stringify([tenant, principal])).slice(0, 32);
}

class Pool implements Downstreams {
  readonly #options: DownstreamOptions;
  readonly #identities = new Map<string, ServerIdentity>();
  readonly #pooled = new Map<string, Pooled>();
  readonly #keys = new Map<string, string>();
  readonly #eras: EraVerdicts;

  constructor(options: DownstreamOptions) {
    this.#options = options;
    this.#eras = new EraVerdicts(options.clock);
    for (const [name, server] of Object.entries(options.servers)) {
      this.#identities.set(name, serverIdentity(server, options.pathTokens));
    }
  }

  connection(server: string): Connection | undefined {
    const known = [...this.#pooled.values()].find(({ connection }) => connection.server.name === server);
    const looked = known ?? this.#of(server, NOBODY);
    if (looked?.users === 0) this.#unused(looked);
    return looked?.connection;
  }

  standing(server: string): ServerStanding {
    const states = [...this.#pooled.values()]
      .filter(({ connection }) => connection.server.name === server)
      .map(({ connection }) => connection.state());
    const up = states.find(({ state }) => state === 'ready' || state === 'starting');
    if (up !== undefined) return { state: up.state };
    const failed = states.find((one) => one.state === 'failed');
    if (failed !== undefined) return { state: failed.state, failure: failed.reason };
    return { state: states[0]?.state ?? 'not started here' };
  }

  poolKey(server: string, { tenant, principal }: PoolIdentity): string | undefined {
    const identity = this.#identities.get(server);
    if (identity === undefined) return undefined;
    const asked = JSON.stringify([server, tenant, principal]);
    let key = this.#keys.get(asked);
    if (key === undefined) {
      const policy = this.#options.policyDigest ?? '';
      key = digestJson({ name: server, server: { ...identity }, tenant, principal, policy });
      if (this.#keys.size >= MOST_KEYS) this.#keys.clear();
      this.#keys.set(asked, key);
    }
    return key;
  }

  lease(server: string, who: PoolIdentity): Lease | undefined {
    const pooled = this.#of(server, who);
    if (pooled === undefined) return undefined;
    this.#makeRoom(pooled);
    pooled.users++;
    let isOver = false;
    return {
      connection: pooled.connection,
      who,
      poolKey: pooled.poolKey,
      isOnly: () => pooled.users === 1,
      isLast: () => pooled.users === 0,
      retire: (why) => {
        pooled.retires = why;
      },
      end: () => {
        if (isOver) return;
        isOver = true;
        this.#used(pooled);
      },
    };
  }

  all(): readonly Connection[] {
    return [...this.#pooled.values()].map(({ connection }) => connection);
  }

  async close(): Promise<void> {
    const pooled = [...this.#pooled.values()];
    for (const one of pooled) forgetIdle(one);
    await Promise.all(pooled.map(({ connection }) => connection.close()));
  }

  #of(name: string, who: PoolIdentity): Pooled | undefined {
    const server = this.#options.servers[name];
    const identity = this.#identities.get(name);
    const poolKey = this.poolKey(name, who);
    if (server === undefined || identity === undefined || poolKey === undefined) return undefined;
    let pooled = this.#pooled.get(poolKey) ?? this.#adopt(name, who, poolKey);
    if (pooled === undefined) {
      const eras = { get: () => this.#eras.of(server), learn: (era: Era) => this.#eras.learn(server, era) };
      const owner = who === NOBODY ? {} : { owner: ownerDigest(who) };
      const connection = createConnection(server, identity, { ...this.#options, eras, ...owner });
      pooled = { connection, who, poolKey, users: 0, usedAt: 0, cancelIdle: undefined };
      this.#pooled.set(poolKey, pooled);
    }
    return pooled;
  }

  /**
   * What was opened only to look at a list belongs to the first who calls through it; no call went through it before. One whose
   * server keeps a home has none to keep (Q1), so it stays nobody's.
   */
  #adopt(name: string, who: PoolIdentity, poolKey: string): Pooled | undefined {
    const key = this.poolKey(name, NOBODY);
    const looked = key === undefined || who === NOBODY ? undefined : this.#pooled.get(key);
    if (key === undefined || looked === undefined) return undefined;
    if (looked.connection.server.sandbox?.persist === true) return undefined;
    this.#pooled.delete(key);
    this.#pooled.set(poolKey, Object.assign(looked, { who, poolKey }));
    return looked;
  }

  #used(pooled: Pooled): void {
    pooled.users--;
    if (pooled.users > 0) return;
    const { retires } = pooled;
    if (retires !== undefined) {
      delete pooled.retires;
      forgetIdle(pooled);
      void this.#endUnused(pooled, retires);
      return;
    }
    this.#unused(pooled);
  }

  /** From now on it idles, also one that was only looked through. */
  #unused(pooled: Pooled): void {
    const { clock, idleMs } = this.#options;
    pooled.usedAt = clock.monotonic();
    if (idleMs !== undefined && pooled.cancelIdle === undefined) this.#lookAfter(pooled, idleMs, idleMs);
  }

  /** One timer however often it is used meanwhile: it is set anew for what is left. The last user sets it otherwise. */
  #lookAfter(pooled: Pooled, ms: number, idleMs: number): void {
    const { clock } = this.#options;
    pooled.cancelIdle = clock.after(ms, () => {
      pooled.cancelIdle = undefined;
      if (pooled.users > 0) return;
      const left = pooled.usedAt + idleMs - clock.monotonic();
      if (left > 0) this.#lookAfter(pooled, left, idleMs);
      else void this.#endUnused(pooled);
    });
  }

  /** Q2: the one that was not used for longest goes first. */
  #makeRoom(wanted: Pooled): void {
    const { maxOpen } = this.#options;
    if (maxOpen === undefined || wanted.connection.isOpen()) return;
    const open = [...this.#pooled.values()].filter(({ connection }) => connection.isOpen());
    if (open.length < maxOpen) return;
    const [oldest] = open.filter(({ users }) => users === 0).sort((a, b) => a.usedAt - b.usedAt);
    if (oldest === undefined) {
      throw new RuntimeError('TOO_BUSY', 'Every connection to a server that may be open is in use.', {
        open: open.length,
        most: maxOpen,
      });
    }
    forgetIdle(oldest);
    void this.#endUnused(oldest);
  }

  /** Forgotten with its child: principals come and go. One that is not to be tried again yet is remembered for that. */
  async #endUnused(pooled: Pooled, why: CloseReason = 'idle'): Promise<void> {
    const { connection, poolKey } = pooled;
    if (pooled.users > 0) return;
    await connection.release(why);
    const state = connection.state();
    const isHeldBack = state.state === 'failed' && this.#options.clock.monotonic() < state.until;
    if (pooled.users > 0 || connection.isOpen() || isHeldBack) return;
    if (this.#pooled.get(poolKey) === pooled) this.#pooled.delete(poolKey);
    // Whoever still looks through it starts no child that nobody ends.
    await connection.close();
  }
}

/** Starts nothing. */
export function createDownstreams(options: DownstreamOptions): Downstreams {
  return new Pool(options);
}
