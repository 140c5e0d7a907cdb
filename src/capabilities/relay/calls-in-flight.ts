// Owns which calls are in flight on one connection, and to which of them a request of the server belongs.
//
// F1  A request is of a call only if that call is the only one in flight; any other is nobody's and decides nothing.
// F2  A tool that was seen to ask runs alone on its connection from then on.
// F3  While a person thinks, which may take long, other calls go on, also such as ask; the answer waits until its call is
//     alone again, and is then the next.
// F4  Whoever is in `#running` has a place, and gives it back once; a call that is over takes none.
import { whenEnded } from '../../base/abort.ts';
import type { Until } from '../../base/abort.ts';
import { RuntimeError } from '../../base/errors.ts';
import { NOT_SENT } from '../transport.ts';

/** What a call in flight hears of its server. */
export interface CallEars {
  ask(params: unknown): Promise<unknown>;
  log(params: unknown): void;
}

interface InFlight {
  tool: string;
  ears: CallEars;
  until: Until;
}

/** `again`: it had a place, and its server waits for the answer that it brings. */
type Turn = 'shared' | 'alone' | 'again';

interface Waiter {
  turn: Turn;
  go: () => void;
}

export class CallsInFlight {
  readonly #running = new Set<InFlight>();
  /** Calls whose question a person thinks about; each server waits for its answer and asks nothing else for it. */
  readonly #aside = new Set<InFlight>();
  readonly #asking = new Set<string>();
  readonly #waiting: Waiter[] = [];
  #places = 0;
  #isAlone = false;

  /**
   * Runs the work when its turn has come (F2). Rejects with CANCELED and NOT_SENT when the wait is ended; nothing ran.
   */
  async run<T>(tool: string, until: Until, ears: CallEars, work: () => Promise<T>): Promise<T> {
    await this.#enter(this.#asking.has(tool) ? 'alone' : 'shared', until);
    const entry: InFlight = { tool, ears, until };
    this.#running.add(entry);
    try {
      return await work();
    } finally {
      this.#aside.delete(entry);
      if (this.#running.delete(entry)) this.#leave();
    }
  }

  /** F1; whoever is in flight while a server asks is taken for one that asks. */
  asker(): Pick<CallEars, 'ask'> | undefined {
    const calls = [...this.#running];
    for (const { tool } of calls) this.#asking.add(tool);
    const [only, other] = calls;
    if (only === undefined || other !== undefined) return undefined;
    return { ask: (params) => this.#askAside(only, params) };
  }

  /** Everybody who may want to hear what a server says to no one in particular. */
  listeners(): readonly CallEars[] {
    return [...this.#running].map(({ ears }) => ears);
  }

  /** F3: its server waits for the answer. */
  async #askAside(entry: InFlight, params: unknown): Promise<unknown> {
    this.#aside.add(entry);
    this.#running.delete(entry);
    this.#leave();
    try {
      return await entry.ears.ask(params);
    } finally {
      await this.#comeBack(entry);
    }
  }

  /** F4. */
  async #comeBack(entry: InFlight): Promise<void> {
    if (!this.#aside.has(entry)) return;
    try {
      await this.#enter('again', entry.until);
    } catch {
      return;
    }
    if (this.#aside.delete(entry)) this.#running.add(entry);
    else this.#leave();
  }

  #enter(turn: Turn, until: Until): Promise<void> {
    if (until.aborted) return Promise.reject(ended());
    if (this.#waiting.length === 0 && this.#mayRun(turn)) {
      this.#start(turn);
      return Promise.resolve();
    }
    return new Promise<void>((resolve, reject) => {
      const onEnd = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(ended());
        this.#next();
      };
      const waiter: Waiter = {
        turn,
        go: () => {
          leave();
          resolve();
        },
      };
      if (turn === 'again') this.#waiting.unshift(waiter);
      else this.#waiting.push(waiter);
      const leave = whenEnded(until, onEnd);
    });
  }

  #mayRun(turn: Turn): boolean {
    return turn === 'shared' ? !this.#isAlone : this.#places === 0;
  }

  #start(turn: Turn): void {
    this.#places++;
    this.#isAlone = turn !== 'shared';
  }

  #leave(): void {
    this.#places--;
    if (this.#places === 0) this.#isAlone = false;
    this.#next();
  }

  /** In order of arrival, so that one that runs alone is not overtaken for ever. */
  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.#mayRun(first.turn)) return;
      this.#waiting.shift();
      this.#start(first.turn);
      first.go();
    }
  }
}

function ended(): RuntimeError {
  return new RuntimeError('CANCELED', 'the wait for its turn was ended', { [NOT_SENT]: true });
}
