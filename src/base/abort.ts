// Owns deadlines: one signal that ends at an absolute time or with its parent, and leaves no listener behind. Its clock
// stands still while somebody holds it.
import type { Clock } from './clock.ts';

/** What may end before its time, and why: as much of a signal as is needed to follow one. */
export interface Ending {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options: { once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** An ending whose signal is made when it is first asked for: much that may end is only followed, and a signal is dear. */
export class LazyAbort implements Ending {
  #controller: AbortController | undefined;
  #ended: { reason: unknown } | undefined;
  #listeners: (() => void)[] = [];

  get aborted(): boolean {
    return this.#ended !== undefined;
  }

  get reason(): unknown {
    return this.#ended?.reason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
    }
    return this.#controller.signal;
  }

  /** Only the first counts. */
  abort(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
    this.#controller?.abort(reason);
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners = this.#listeners.filter((one) => one !== listener);
  }
}

export interface Deadline {
  /** Made when it is first asked for. */
  readonly signal: AbortSignal;
  /** The same end for who only follows it. */
  readonly ending: Ending;
  /** True once the time, and not the parent, ended it. */
  timedOut(): boolean;
  /** Stops the clock until what it returns is called. */
  hold(): () => void;
  /** Must be called when the work is over; frees the timer and the parent's listener. */
  done(): void;
}

/** A signal that aborts after `ms` milliseconds or when `parent` aborts, whichever is first; `told` hears of it before. */
export function startDeadline(clock: Clock, ms: number, parent?: Ending, told?: () => void): Deadline {
  return new RunningDeadline(clock, ms, parent, told);
}

class RunningDeadline implements Deadline {
  readonly #parent: Ending | undefined;
  readonly #told: (() => void) | undefined;
  readonly #timer: HoldableTimer;
  readonly #onParent = (): void => {
    this.#end(this.#parent?.reason);
  };
  readonly #abort = new LazyAbort();
  #isLate = false;

  constructor(clock: Clock, ms: number, parent: Ending | undefined, told: (() => void) | undefined) {
    this.#parent = parent;
    this.#told = told;
    this.#timer = holdableTimer(clock, ms, () => {
      this.#isLate = true;
      this.#end(new DOMException('deadline passed', 'TimeoutError'));
    });
    if (parent?.aborted === true) this.#onParent();
    else parent?.addEventListener('abort', this.#onParent, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get ending(): Ending {
    return this.#abort;
  }

  timedOut(): boolean {
    return this.#isLate;
  }

  hold(): () => void {
    return this.#timer.hold();
  }

  done(): void {
    this.#timer.cancel();
    this.#parent?.removeEventListener('abort', this.#onParent);
  }

  #end(reason: unknown): void {
    if (this.#abort.aborted) return;
    this.#told?.();
    this.#abort.abort(reason);
  }
}

interface HoldableTimer {
  hold(): () => void;
  cancel(): void;
}

/** Fires once its running time has passed; the time it is held does not count. */
function holdableTimer(clock: Clock, ms: number, fire: () => void): HoldableTimer {
  let left = ms;
  let holders = 0;
  let isOver = false;
  let since = clock.monotonic();
  let stop = clock.after(left, fire);
  const start = (): void => {
    if (isOver) return;
    since = clock.monotonic();
    stop = clock.after(Math.max(0, left), fire);
  };
  return {
    hold: () => {
      holders++;
      if (holders === 1) {
        stop();
        left -= clock.monotonic() - since;
      }
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        holders--;
        if (holders === 0) start();
      };
    },
    cancel: () => {
      isOver = true;
      stop();
    },
  };
}
