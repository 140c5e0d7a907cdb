// Owns which resources one connection, session or token is told about: each read as the caller before it counts, each once
// however often it is asked for, all within a bound.
import { RuntimeError } from '../base/errors.ts';
import type { Connection } from './connection.ts';
import { watchResource } from './reads/watching.ts';
import type { Updates } from './updates.ts';

/** Where subscriptions are counted; met by a principal over HTTP. */
export interface SubscriptionPlaces {
  /** Takes one place; undefined when all are taken. What is returned gives it back. */
  enter(what: 'subscriptions'): (() => void) | undefined;
}

/** The one who asks with `sure`. */
const SURE = Symbol('sure');

interface Held {
  askers: Set<symbol>;
  /** Resolves once the resource was read as the caller. */
  read: Promise<void>;
  end: () => void;
}

export class Subscribed {
  readonly #held = new Map<string, Held>();
  readonly #connection: Connection;
  readonly #places: SubscriptionPlaces;
  readonly #updates: Updates;
  readonly #notify: (uri: string) => void;
  #isClosed = false;

  constructor(
    of: { connection: Connection; places: SubscriptionPlaces; updates: Updates },
    notify: (uri: string) => void,
  ) {
    this.#connection = of.connection;
    this.#places = of.places;
    this.#updates = of.updates;
    this.#notify = notify;
  }

  /** As `add`, but asked for once however often. */
  async sure(uri: string): Promise<void> {
    await this.#ask(uri, SURE).read;
  }

  /** Takes back what `sure` asked for. */
  remove(uri: string): void {
    const held = this.#held.get(uri);
    if (held !== undefined) this.#leave(uri, held, SURE);
  }

  /**
   * Throws what reading the resource throws, LIMIT_EXCEEDED, or SESSION_CLOSED after `close`. What is returned gives this very
   * holding back; one that has ended by itself, and what was begun anew after it, it leaves alone.
   */
  async add(uri: string): Promise<() => void> {
    const asker = Symbol('asker');
    const held = this.#ask(uri, asker);
    await held.read;
    return () => this.#leave(uri, held, asker);
  }

  close(): void {
    this.#isClosed = true;
    for (const [uri, held] of [...this.#held]) this.#drop(uri, held);
  }

  #ask(uri: string, asker: symbol): Held {
    const held = this.#held.get(uri) ?? this.#hold(uri);
    held.askers.add(asker);
    return held;
  }

  #leave(uri: string, held: Held, asker: symbol): void {
    held.askers.delete(asker);
    if (held.askers.size === 0) this.#drop(uri, held);
  }

  #hold(uri: string): Held {
    if (this.#isClosed) throw new RuntimeError('SESSION_CLOSED');
    const leave = this.#places.enter('subscriptions');
    if (leave === undefined) throw new RuntimeError('LIMIT_EXCEEDED', 'Too many subscriptions are open.');
    const held: Held = { askers: new Set(), read: Promise.resolve(), end: leave };
    this.#held.set(uri, held);
    held.read = this.#begin(uri, held);
    return held;
  }

  async #begin(uri: string, held: Held): Promise<void> {
    try {
      const stop = await this.#watch(uri, held);
      const leave = held.end;
      held.end = () => {
        stop();
        leave();
      };
      // Taken back while the resource was read.
      if (this.#held.get(uri) !== held) held.end();
    } catch (thrown) {
      this.#drop(uri, held);
      throw thrown;
    }
  }

  #drop(uri: string, held: Held): void {
    if (this.#held.get(uri) !== held) return;
    this.#held.delete(uri);
    held.end();
  }

  #watch(uri: string, held: Held): Promise<() => void> {
    return watchResource(this.#connection, this.#updates, {
      uri,
      notify: (changed) => this.#notify(changed),
      onEnd: () => this.#drop(uri, held),
    });
  }
}
