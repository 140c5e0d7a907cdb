// Owns when readable copies are made: beside the answers, one after the other, each from the state of its time, so that
// an older copy never replaces a newer one.
//
// K1  No answer waits for a copy, and none is made of a session while a run of it is under way in this process.
// K2  Of a session that goes on while it waits one copy is made.
// K3  A copy costs a good part of a turn. There is a pause before each, so that many make nobody wait; with too many waiting
//     there is none. The newest come first: what they show is still in memory, and people look at them first.
import type { Clock } from '../../base/clock.ts';
import type { Caller } from '../../kernel/identity.ts';

const PAUSE_MS = 20;
const TOO_MANY = 16_384;

export interface Copyist {
  copyLater(caller: Caller, sessionId: string): void;
  /** K1 */
  during<T>(sessionId: string, run: () => Promise<T>): Promise<T>;
  /** Makes those that wait now; resolves when all are written or have failed. */
  settled(): Promise<void>;
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

/** Whose turn it is, the newest first; each once. */
interface Turns {
  add(sessionId: string): void;
  next(): string | undefined;
}

function createTurns(): Turns {
  const ids: string[] = [];
  const placed = new Set<string>();
  return {
    add(id) {
      if (placed.has(id)) return;
      placed.add(id);
      ids.push(id);
    },
    next() {
      const id = ids.pop();
      if (id !== undefined) placed.delete(id);
      return id;
    },
  };
}

export function createCopyist(
  clock: Clock,
  write: (caller: Caller, sessionId: string) => Promise<void>,
): Copyist {
  const waiting = new Map<string, Caller>();
  const turns = createTurns();
  const runs = createRuns();
  let making: Promise<unknown> = Promise.resolve();
  let cancel: (() => void) | undefined;

  /** False when there is none that may be made now. */
  const makeOne = async (): Promise<boolean> => {
    for (let id = turns.next(); id !== undefined; id = turns.next()) {
      const caller = waiting.get(id);
      if (caller === undefined || runs.has(id)) continue; // the end of its run comes back to it
      waiting.delete(id);
      await write(caller, id).catch(() => undefined);
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
    copyLater(caller, sessionId) {
      waiting.set(sessionId, caller);
      turns.add(sessionId);
      arm();
    },
    async during(sessionId, run) {
      runs.add(sessionId);
      try {
        return await run();
      } finally {
        runs.remove(sessionId);
        if (waiting.has(sessionId)) {
          turns.add(sessionId);
          arm();
        }
      }
    },
    async settled() {
      making = making.then(makeAll);
      await making;
      if (waiting.size > 0) return;
      cancel?.();
      cancel = undefined;
    },
  };
}
