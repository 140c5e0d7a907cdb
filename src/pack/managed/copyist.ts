// Owns when readable copies are made: beside the answers, one after the other, each from the state of its time, so that
// an older copy never replaces a newer one.
//
// K1  No answer waits for a copy, and none is made of a session while a run of it is under way in this process.
// K2  Of a session that goes on while it waits only the newest copy is made.
// K3  A copy costs as much as a turn. There is a pause before each, so that many make nobody wait; with too many waiting
//     there is none.
import type { Clock } from '../../base/clock.ts';
import type { Caller } from '../../kernel/identity.ts';

const PAUSE_MS = 20;
const TOO_MANY = 2_048;
// What is known of more than these is not held for their copies, but read again.
const MOST_KNOWN = 256;

export interface Copyist<Known> {
  /** `known`: what the copy is to show, where it has been read already. */
  copyLater(caller: Caller, sessionId: string, known?: Known): void;
  /** K1 */
  during<T>(sessionId: string, run: () => Promise<T>): Promise<T>;
  forget(sessionId: string): void;
  /** Makes those that wait now; resolves when all are written or have failed. */
  settled(): Promise<void>;
}

interface Wanted<Known> {
  caller: Caller;
  known: Known | undefined;
}

/** The runs under way, by their session. */
interface Runs {
  has(sessionId: string): boolean;
  add(sessionId: string): void;
  remove(sessionId: string): void;
}

function createRuns(): Runs {
  const counts = new Map<string, number>();
  return {
    has: (id) => counts.has(id),
    add: (id) => void counts.set(id, (counts.get(id) ?? 0) + 1),
    remove(id) {
      const left = (counts.get(id) ?? 1) - 1;
      if (left > 0) counts.set(id, left);
      else counts.delete(id);
    },
  };
}

export function createCopyist<Known>(
  clock: Clock,
  write: (caller: Caller, sessionId: string, known: Known | undefined) => Promise<void>,
): Copyist<Known> {
  const waiting = new Map<string, Wanted<Known>>();
  const runs = createRuns();
  let making: Promise<unknown> = Promise.resolve();
  let cancel: (() => void) | undefined;

  /** False when there is none that may be made now. */
  const makeOne = async (): Promise<boolean> => {
    for (const [id, { caller, known }] of waiting) {
      if (runs.has(id)) continue; // its end comes back to it
      waiting.delete(id);
      await write(caller, id, known).catch(() => undefined);
      return true;
    }
    return false;
  };
  const arm = (): void => {
    cancel ??= clock.after(waiting.size > TOO_MANY ? 0 : PAUSE_MS, () => {
      cancel = undefined;
      making = making.then(makeOne).then((isMade) => {
        if (isMade && waiting.size > 0) arm();
      });
    });
  };
  const makeAll = async (): Promise<void> => {
    while (await makeOne());
  };

  return {
    copyLater(caller, sessionId, known) {
      waiting.set(sessionId, { caller, known: waiting.size < MOST_KNOWN ? known : undefined });
      arm();
    },
    async during(sessionId, run) {
      runs.add(sessionId);
      try {
        return await run();
      } finally {
        runs.remove(sessionId);
        if (waiting.has(sessionId)) arm();
      }
    },
    forget: (sessionId) => void waiting.delete(sessionId),
    async settled() {
      making = making.then(makeAll);
      await making;
      if (waiting.size > 0) return;
      cancel?.();
      cancel = undefined;
    },
  };
}
