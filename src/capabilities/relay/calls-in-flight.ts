// Owns which calls are in flight on one connection, and to which of them a request of the server belongs.
//
// F1  A request is of a call only if that call is the only one in flight; any other is nobody's and decides nothing.
// F2  A tool that was seen to ask runs alone on its connection from then on.
// F3  While a person thinks, other calls go on; the answer waits until its call is alone again.
import { RuntimeError } from '../../base/errors.ts';

/** What a call in flight hears of its server. */
export interface CallEars {
  ask(params: unknown): Promise<unknown>;
  log(params: unknown): void;
}

interface InFlight {
  tool: string;
  ears: CallEars;
  signal: AbortSignal;
}

interface Waiter {
  alone: boolean;
  go: () => void;
}

export class CallsInFlight {
  readonly #open = new Set<InFlight>();
  readonly #asking = new Set<string>();
  readonly #waiting: Waiter[] = [];
  #running = 0;
  #isAlone = false;

  /** Runs the work when its turn has come (F2). Rejects with CANCELED when the signal ends the wait; nothing ran. */
  async run<T>(tool: string, signal: AbortSignal, ears: CallEars, work: () => Promise<T>): Promise<T> {
    const alone = this.#asking.has(tool);
    await this.#enter(alone, signal);
    const entry: InFlight = { tool, ears, signal };
    this.#open.add(entry);
    try {
      return await work();
    } finally {
      this.#open.delete(entry);
      this.#leave();
    }
  }

  /** F1; whoever is in flight while a server asks is taken for one that asks. */
  asker(): Pick<CallEars, 'ask'> | undefined {
    const calls = [...this.#open];
    for (const { tool } of calls) this.#asking.add(tool);
    const [only, other] = calls;
    if (only === undefined || other !== undefined) return undefined;
    return { ask: (params) => this.#askAside(only, params) };
  }

  /** Everybody who may want to hear what a server says to no one in particular. */
  listeners(): readonly CallEars[] {
    return [...this.#open].map(({ ears }) => ears);
  }

  /** F3: its server waits for the answer, so it does nothing that could be taken for another call's. */
  async #askAside(entry: InFlight, params: unknown): Promise<unknown> {
    this.#open.delete(entry);
    this.#leave();
    try {
      return await entry.ears.ask(params);
    } finally {
      await this.#enter(true, entry.signal).then(
        () => this.#open.add(entry),
        // The call is over; it leaves a place that it did not take.
        () => this.#running++,
      );
    }
  }

  #enter(alone: boolean, signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0 && this.#mayRun(alone)) {
      this.#start(alone);
      return Promise.resolve();
    }
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new RuntimeError('CANCELED', 'the wait for its turn was ended'));
        this.#next();
      };
      const waiter: Waiter = {
        alone,
        go: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#waiting.push(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #mayRun(alone: boolean): boolean {
    return alone ? this.#running === 0 : !this.#isAlone;
  }

  #start(alone: boolean): void {
    this.#running++;
    this.#isAlone = alone;
  }

  #leave(): void {
    this.#running--;
    if (this.#running === 0) this.#isAlone = false;
    this.#next();
  }

  /** In order of arrival, so that one that runs alone is not overtaken for ever. */
  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.#mayRun(first.alone)) return;
      this.#waiting.shift();
      this.#start(first.alone);
      first.go();
    }
  }
}
