// Owns deadlines: one signal that ends at an absolute time or with its parent, and leaves no listener behind.
import type { Clock } from './clock.ts';

export interface Deadline {
  readonly signal: AbortSignal;
  /** True once the time, and not the parent, ended it. */
  readonly timedOut: () => boolean;
  /** Must be called when the work is over; frees the timer and the parent's listener. */
  readonly done: () => void;
}

/** A signal that aborts after `ms` milliseconds or when `parent` aborts, whichever is first. */
export function startDeadline(clock: Clock, ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let late = false;
  const cancelTimer = clock.after(ms, () => {
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
    done: () => {
      cancelTimer();
      parent?.removeEventListener('abort', onParent);
    },
  };
}
