// Owns deadlines: one signal that ends at an absolute time or with its parent, and leaves no listener behind. Its clock
// stands still while somebody holds it.
import type { Clock } from './clock.ts';

export interface Deadline {
  readonly signal: AbortSignal;
  /** True once the time, and not the parent, ended it. */
  readonly timedOut: () => boolean;
  /** Stops the clock until what it returns is called. */
  readonly hold: () => () => void;
  /** Must be called when the work is over; frees the timer and the parent's listener. */
  readonly done: () => void;
}

/** A signal that aborts after `ms` milliseconds or when `parent` aborts, whichever is first. */
export function startDeadline(clock: Clock, ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let late = false;
  const timer = holdableTimer(clock, ms, () => {
    late = true;
    controller.abort(new DOMException('deadline passed', 'TimeoutError'));
  });
  const onParent = (): void => {
    controller.abort(parent?.reason);
  };
  if (parent?.aborted === true) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    timedOut: () => late,
    hold: timer.hold,
    done: () => {
      timer.cancel();
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** Fires once its running time has passed; the time it is held does not count. */
function holdableTimer(
  clock: Clock,
  ms: number,
  fire: () => void,
): { hold: () => () => void; cancel: () => void } {
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
