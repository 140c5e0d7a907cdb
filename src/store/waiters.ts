// Owns waiting for the next record: woken by this process's own commits, and by a slow look for those of others.
import type { Clock } from '../base/clock.ts';

// Others' commits are seen this late at worst; each look is one indexed read.
const LOOK_EVERY_MS = 100;

export interface Waiters {
  /** True once a record after `position` exists; false when the signal or the store ends. */
  wait(position: number, signal: AbortSignal): Promise<boolean>;
  /** To be called after each durable append. */
  wake(): void;
  close(): void;
}

interface Waiter {
  position: number;
  settle(found: boolean): void;
}

/** `newest` gives the position of the newest record. Without a clock only `wake` is listened to. */
export function createWaiters(newest: () => number, clock?: Clock): Waiters {
  const waiting = new Set<Waiter>();
  let cancelLook: (() => void) | undefined;
  let isClosed = false;

  function wake(): void {
    if (waiting.size === 0) return;
    try {
      const position = newest();
      for (const waiter of [...waiting]) if (waiter.position < position) waiter.settle(true);
    } catch {
      // The engine is busy or broken for a moment; the next look tells. A durable commit must not fail here.
    }
  }

  function look(): void {
    wake();
    cancelLook = waiting.size > 0 ? clock?.after(LOOK_EVERY_MS, look) : undefined;
  }

  return {
    wake,
    async wait(position, signal) {
      if (newest() > position) return true;
      if (signal.aborted || isClosed) return false;
      return new Promise<boolean>((resolve) => {
        const onAbort = (): void => waiter.settle(false);
        const waiter: Waiter = {
          position,
          settle(found) {
            waiting.delete(waiter);
            signal.removeEventListener('abort', onAbort);
            resolve(found);
          },
        };
        waiting.add(waiter);
        signal.addEventListener('abort', onAbort, { once: true });
        cancelLook ??= clock?.after(LOOK_EVERY_MS, look);
      });
    },
    close() {
      isClosed = true;
      cancelLook?.();
      for (const waiter of [...waiting]) waiter.settle(false);
    },
  };
}
