// Owns what a server says unasked about its resources and prompts, and how often that is passed on: at once, and then
// once for all that follows within the rest, whatever the server sends.
import type { Clock } from '../../base/clock.ts';

export type Notice = { kind: 'resources' | 'prompts' } | { kind: 'updated'; uri: string };

const REST_MS = 250;
// More resources than anybody subscribes to on one connection; beyond, updates of others are dropped while these rest.
const MOST = 1000;

export class Notices {
  readonly #clock: Clock;
  readonly #listeners = new Set<(notice: Notice) => void>();
  readonly #resting = new Map<string, { again: boolean; cancel: () => void }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  give(notice: Notice): void {
    const key = notice.kind === 'updated' ? `updated ${notice.uri}` : notice.kind;
    const resting = this.#resting.get(key);
    if (resting !== undefined) {
      resting.again = true;
      return;
    }
    if (this.#resting.size >= MOST) return;
    const entry = { again: false, cancel: (): void => undefined };
    entry.cancel = this.#clock.after(REST_MS, () => {
      this.#resting.delete(key);
      if (entry.again) this.give(notice);
    });
    this.#resting.set(key, entry);
    for (const listener of [...this.#listeners]) listener(notice);
  }

  end(): void {
    for (const { cancel } of this.#resting.values()) cancel();
    this.#resting.clear();
    this.#listeners.clear();
  }
}
