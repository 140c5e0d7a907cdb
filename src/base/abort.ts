// Owns what ends once, and deadlines: one that ends at an absolute time or with its parent, and leaves no listener behind.
// Its clock stands still while somebody holds it.
import type { Clock } from './clock.ts';

export interface Ending {
  /** Made when it is first asked for: much that may end is never listened to, and a signal is dear. */
  readonly signal: AbortSignal;
  /** As the signal's; need none. */
  readonly aborted: boolean;
  readonly reason: unknown;
  /** Told once it has ended, at once if it has already; what this returns takes the listener back. Needs no signal. */
  onEnd(listener: (reason: unknown) => void): () => void;
}

export interface Deadline extends Ending {
  /** True once the time, and not the parent, ended it. */
  timedOut(): boolean;
  /** Stops the clock until what it returns is called. */
  hold(): () => void;
  /** Must be called when the work is over; frees the timer and the parent's listener. */
  done(): void;
}

/** How long somebody waits, or what he wants goes on. */
export type Until = AbortSignal | Ending;

/** What is ended by whoever holds it. */
export class Endable implements Ending {
  #followers: Set<(reason: unknown) => void> | undefined;
  #controller: AbortController | undefined;
  #ended: { reason: unknown } | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#ended !== undefined;
  }

  get reason(): unknown {
    return this.#ended?.reason;
  }

  onEnd(listener: (reason: unknown) => void): () => void {
    const followers = (this.#followers ??= new Set());
    followers.add(listener);
    if (this.#ended !== undefined) listener(this.#ended.reason);
    return () => {
      followers.delete(listener);
    };
  }

  /** Once; what comes later changes nothing. */
  end(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    for (const follower of this.#followers ?? []) follower(reason);
    this.#controller?.abort(reason);
  }
}

/** A signal that aborts after `ms` milliseconds or when `parent` ends, whichever is first; `told` hears of it before. */
export function startDeadline(clock: Clock, ms: number, parent?: Until, told?: () => void): Deadline {
  return new RunningDeadline(clock, ms, parent, told);
}

/** Told once it has ended, at once if it has already; what this returns takes the listener back. */
export function whenEnded(until: Until, listener: (reason: unknown) => void): () => void {
  return 'onEnd' in until ? until.onEnd(listener) : whenAborted(until, listener);
}

function whenAborted(signal: AbortSignal, listener: (reason: unknown) => void): () => void {
  const onAbort = (): void => listener(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => {
    signal.removeEventListener('abort', onAbort);
  };
}

class RunningDeadline extends Endable implements Deadline {
  readonly #told: (() => void) | undefined;
  readonly #timer: HoldableTimer;
  readonly #leaveParent: (() => void) | undefined;
  #isLate = false;

  constructor(clock: Clock, ms: number, parent: Until | undefined, told: (() => void) | undefined) {
    super();
    this.#told = told;
    this.#timer = holdableTimer(clock, ms, () => {
      if (!this.aborted) this.#isLate = true;
      this.end(new DOMException('deadline passed', 'TimeoutError'));
    });
    if (parent === undefined) return;
    this.#leaveParent = whenEnded(parent, (reason) => this.end(reason));
  }

  timedOut(): boolean {
    return this.#isLate;
  }

  hold(): () => void {
    return this.#timer.hold();
  }

  done(): void {
    this.#timer.cancel();
    this.#leaveParent?.();
  }

  override end(reason: unknown): void {
    if (!this.aborted) this.#told?.();
    super.end(reason);
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
