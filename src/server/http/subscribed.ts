// Owns which resources one session or one token's streams are told about: each read as the caller before it counts, each
// once however often it is asked for, all within the principal's bound.
import { RuntimeError } from '../../base/errors.ts';
import type { Connection } from '../connection.ts';
import { watchResource } from '../reads/watching.ts';
import type { Principal } from './principal.ts';
import type { Updates } from './updates.ts';

interface Held {
  askers: number;
  end(): void;
}

export class Subscribed {
  readonly #held = new Map<string, Held>();
  readonly #connection: Connection;
  readonly #principal: Principal;
  readonly #updates: Updates;
  readonly #notify: (uri: string) => void;

  constructor(
    of: { connection: Connection; principal: Principal; updates: Updates },
    notify: (uri: string) => void,
  ) {
    this.#connection = of.connection;
    this.#principal = of.principal;
    this.#updates = of.updates;
    this.#notify = notify;
  }

  has(uri: string): boolean {
    return this.#held.has(uri);
  }

  /** Throws what reading the resource throws, or LIMIT_EXCEEDED. */
  async add(uri: string): Promise<void> {
    const known = this.#held.get(uri);
    if (known !== undefined) {
      known.askers += 1;
      return;
    }
    const leave = this.#principal.enter('subscriptions');
    if (leave === undefined) throw new RuntimeError('LIMIT_EXCEEDED', 'Too many subscriptions are open.');
    const held: Held = { askers: 1, end: leave };
    this.#held.set(uri, held);
    try {
      const stop = await this.#watch(uri);
      held.end = () => {
        stop();
        leave();
      };
      // Taken back while the resource was read.
      if (this.#held.get(uri) !== held) held.end();
    } catch (thrown) {
      this.#drop(uri);
      throw thrown;
    }
  }

  remove(uri: string): void {
    const held = this.#held.get(uri);
    if (held === undefined) return;
    held.askers -= 1;
    if (held.askers === 0) this.#drop(uri);
  }

  close(): void {
    for (const uri of [...this.#held.keys()]) this.#drop(uri);
  }

  #drop(uri: string): void {
    const held = this.#held.get(uri);
    this.#held.delete(uri);
    held?.end();
  }

  #watch(uri: string): Promise<() => void> {
    return watchResource(this.#connection, this.#updates, {
      uri,
      notify: (changed) => this.#notify(changed),
      onEnd: () => this.#drop(uri),
    });
  }
}
