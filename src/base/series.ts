// Owns a series: commits of which each builds on the one before, answered before they are on disk, for a caller that tells
// nobody outside of this process until all of them are (output commit).
//
// Y1  What a series was told before `settled` is called, by a commit or by a read, is on disk when that resolves. It rejects
//     when any was undone.
// Y2  Once something that a series was told is undone, no later step of the series is begun; what is under way is recorded as
//     it ends.
// Source of the rule: Strom and Yemini, Optimistic Recovery in Distributed Systems, ACM TOCS 3(3), 1985.
import type { RuntimeError } from './errors.ts';

type Fate = { at: 'open' } | { at: 'kept' } | { at: 'lost'; error: RuntimeError };

/** What is written and not on disk yet: one of these for all that will be kept or lost together. */
export class Unflushed {
  #fate: Fate = { at: 'open' };
  #waiting: (() => void)[] = [];
  readonly #hurry: () => void;

  /** `hurry` is called by whoever waits for its end. */
  constructor(hurry: () => void = () => undefined) {
    this.#hurry = hurry;
  }

  get fate(): Fate {
    return this.#fate;
  }

  keep(): void {
    this.#end({ at: 'kept' });
  }

  lose(error: RuntimeError): void {
    this.#end({ at: 'lost', error });
  }

  /** Resolves when it is kept or lost. */
  async ended(): Promise<void> {
    if (this.#fate.at !== 'open') return;
    const ended = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#hurry();
    await ended;
  }

  /** Calls it once it is lost, and does not hurry that. */
  ifLost(listen: () => void): void {
    if (this.#fate.at === 'lost') listen();
    if (this.#fate.at !== 'open') return;
    this.#waiting.push(() => {
      if (this.#fate.at === 'lost') listen();
    });
  }

  #end(fate: Fate): void {
    if (this.#fate.at !== 'open') return;
    this.#fate = fate;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/**
 * Handed as `io.series` to every step that one caller takes in this process; `settled` is awaited before anybody outside hears
 * of one. It rejects with STORE_UNAVAILABLE or STORE_CORRUPT where something told was not kept, or with what that means. Of one store: over two, nothing
 * orders them.
 */
export class Series {
  #told: Unflushed[] = [];
  #gravest: RuntimeError | undefined;

  /** For the store: it has answered this series with what is not on disk yet. */
  tell(what: Unflushed): void {
    if (this.#told.at(-1) === what) return;
    this.#told = this.#told.filter(({ fate }) => fate.at !== 'kept');
    this.#told.push(what);
  }

  /** Asked once any of what it was told by now is undone: what that means for whoever asks, if it is graver than what undid it. */
  ifLost(graver: () => RuntimeError | undefined): void {
    for (const one of this.#told) {
      one.ifLost(() => {
        this.#gravest ??= graver();
      });
    }
  }

  /** Y2. Throws what undid it, or what is graver. */
  assertWhole(): void {
    for (const { fate } of this.#told) if (fate.at === 'lost') throw this.#gravest ?? fate.error;
  }

  /** Y1 */
  async settled(): Promise<void> {
    for (const one of this.#told) await one.ended();
    this.assertWhole();
  }
}
