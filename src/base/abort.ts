// Owns deadlines: one signal that ends at an absolute time or with its parent, and leaves no listener behind. Its clock
// stands still while somebody holds it.
import type { Clock } from './clock.ts';

export interface Deadline {
  /** Made when it is first asked for: much that has a deadline never listens, and a signal is dear. */
  readonly signal: AbortSignal;
  /** True once the time, and not the parent, ended it. */
  timedOut(): boolean;
  /** Stops the clock until what it returns is called. */
  hold(): () => void;
  /** Must be called when the work is over; frees the timer and the parent's listener. */
  done(): void;
}

/** A signal that aborts after `ms` milliseconds or when `parent` aborts, whichever is first; `told` hears of it before. */
export function startDeadline(clock: Clock, ms: number, parent?: AbortSignal, told?: () => void): Deadline {
  return new RunningDeadline(clock, ms, parent, told);
}

class RunningDeadline implements Deadline {
  readonly #parent: AbortSignal | undefined;
  readonly #told: (() => void) | undefined;
  readonly #timer: HoldableTimer;
  readonly #onParent = (): void => {
    this.#end(this.#parent?.reason);
  };
  #controller: AbortController | undefined;
  #ended: { reason: unknown } | undefined;
  #isLate = false;

  constructor(clock: Clock, ms: number, parent: AbortSignal | undefined, told: (() => void) | undefined) {
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
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
    }
    return this.#controller.signal;
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
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    this.#told?.();
    this.#controller?.abort(reason);
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
