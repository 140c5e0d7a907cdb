// Owns the flush of the write-ahead log to disk from outside a transaction.
//
// What the engine has written to its log is in order there, and a copy-back of the log flushes first by itself: once this
// flush returns, every transaction that had committed before it began survives a loss of power.
import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';

const datasync = (handle: number): Promise<void> =>
  new Promise((resolve, reject) => {
    fdatasync(handle, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });

export interface Flush {
  /** Without holding up the event loop. Rejects with the system's error; what was to be flushed may then be lost. */
  run(): Promise<void>;
  /** At once, which is quickest for one. Throws the system's error, likewise. */
  now(): void;
  close(): void;
}

/** The log is there from the first transaction on, and no other process removes it while we have the file open. */
export function createFlush(path: string): Flush {
  let handle: number | undefined;
  const log = (): number => (handle ??= openSync(`${path}-wal`, 'r+'));
  return {
    async run() {
      await datasync(log());
    },
    now() {
      fdatasyncSync(log());
    },
    close() {
      if (handle !== undefined) closeSync(handle);
      handle = undefined;
    },
  };
}
