// Owns which configuration a call enters while one is replaced by the next: each generation is the rooms joined over one.
//
// R1  Whatever enters is judged by one generation from its beginning to its end, in all rooms.
// R2  Nothing enters between the record that the next one is taken and the taking.
// R3  One that was left is closed when nothing that entered it is under way.
import { asRuntimeError } from '../base/errors.ts';
import type { Joined } from './joined.ts';
import type { Log } from './options.ts';

export type Handle = Joined['handle'];

class Generation {
  readonly joined: Joined;
  #open = 0;
  #onIdle: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor(joined: Joined) {
    this.joined = joined;
  }

  async enter<T>(work: (handle: Handle) => Promise<T>): Promise<T> {
    this.#open += 1;
    try {
      return await work(this.joined.handle);
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#onIdle();
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.joined.close());
  }

  /** R3 */
  async leave(): Promise<void> {
    await this.joined.stopWorker();
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    // A call that waits for a person has outlived its request.
    await this.joined.lines.settled();
    await this.close();
  }
}

export class Generations {
  readonly #log: Log;
  #current: Generation;
  #taking: Promise<void> | undefined;
  readonly #left = new Map<Generation, Promise<void>>();

  constructor(first: Joined, log: Log) {
    this.#current = new Generation(first);
    this.#log = log;
  }

  get handle(): Handle {
    return this.#current.joined.handle;
  }

  /** R1, R2 */
  enter<T>(work: (handle: Handle) => Promise<T>): Promise<T> {
    return this.#taking === undefined ? this.#current.enter(work) : this.#enterNext(this.#taking, work);
  }

  async #enterNext<T>(taking: Promise<void>, work: (handle: Handle) => Promise<T>): Promise<T> {
    await taking;
    return this.enter(work);
  }

  /** Takes the next one if `record` succeeds; rejects with its reason otherwise, and nothing has changed. */
  async take(next: Joined, record: () => Promise<void>): Promise<void> {
    let taken = (): void => undefined;
    this.#taking = new Promise((resolve) => {
      taken = resolve;
    });
    try {
      await record();
      const before = this.#current;
      this.#current = new Generation(next);
      this.#leave(before);
    } finally {
      this.#taking = undefined;
      taken();
    }
  }

  async close(): Promise<void> {
    await this.#current.close();
    await Promise.all([...this.#left.keys()].map((one) => one.close()));
    await Promise.all(this.#left.values());
  }

  #leave(before: Generation): void {
    const left = before
      .leave()
      .catch((thrown: unknown) => {
        const { message } = asRuntimeError(thrown);
        this.#log('error', 'what ran under the configuration before was not closed', { error: message });
      })
      .finally(() => this.#left.delete(before));
    this.#left.set(before, left);
  }
}
