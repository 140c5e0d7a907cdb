// Owns updates of resources: looks at what somebody asked to be told about, as exactly that caller, and tells when it
// changed.
//
// U1  A resource is read as its subscriber before each notice: what may not be read any more is not told, and the
//     subscription ends.
// U2  One look at a time, however many wait; a slow store makes notices late, never many.
import type { ReadResourceResult } from '@modelcontextprotocol/server';
import { digestJson } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import { checkJson } from '../base/json.ts';
import type { Clock } from '../base/clock.ts';
import type { ServerLog } from './connection.ts';

export interface Watched {
  uri: string;
  /** Reads as the subscriber; throws what the reading throws. */
  read(): Promise<ReadResourceResult>;
  notify(): void;
  /** The subscriber may not read it any more. */
  onEnd(): void;
}

export interface Updates {
  /** Throws what reading the resource throws. The returned function ends it. */
  watch(watched: Watched): Promise<() => void>;
  /** Notices given so far. */
  readonly delivered: number;
  readonly size: number;
  close(): void;
}

interface Entry {
  watched: Watched;
  digest: string;
}

function digestOf({ contents }: ReadResourceResult): string {
  return digestJson(checkJson(contents.map((one) => ('text' in one ? one.text : one.blob))));
}

class Watch implements Updates {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #log: ServerLog;
  readonly #entries = new Set<Entry>();
  #cancelLook: (() => void) | undefined;
  #isLooking = false;
  delivered = 0;

  constructor(clock: Clock, everyMs: number, log: ServerLog) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#log = log;
  }

  get size(): number {
    return this.#entries.size;
  }

  async watch(watched: Watched): Promise<() => void> {
    const entry: Entry = { watched, digest: digestOf(await watched.read()) };
    this.#entries.add(entry);
    this.#arm();
    return () => this.#remove(entry);
  }

  close(): void {
    this.#entries.clear();
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#entries.size === 0) this.close();
  }

  #arm(): void {
    if (this.#isLooking || this.#entries.size === 0) return;
    this.#cancelLook ??= this.#clock.after(this.#everyMs, () => {
      this.#cancelLook = undefined;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    for (const entry of [...this.#entries]) {
      if (this.#entries.has(entry)) await this.#compare(entry);
    }
    this.#isLooking = false;
    this.#arm();
  }

  async #compare(entry: Entry): Promise<void> {
    const { watched } = entry;
    try {
      const digest = digestOf(await watched.read());
      if (digest === entry.digest || !this.#entries.has(entry)) return;
      entry.digest = digest;
      this.delivered += 1;
      watched.notify();
    } catch (thrown) {
      // A store that is busy is asked again; what is gone or not ours any more is not.
      if (thrown instanceof RuntimeError && thrown.code !== 'NOT_FOUND') return;
      this.#log('debug', 'a subscription ended', { uri: watched.uri });
      this.#remove(entry);
      watched.onEnd();
    }
  }
}

export function createUpdates(clock: Clock, everyMs: number, log: ServerLog): Updates {
  return new Watch(clock, everyMs, log);
}
