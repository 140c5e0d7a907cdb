// Owns the flush of the write-ahead log to disk from outside a transaction, without holding up the event loop.
//
// What the engine has written to its log is in order there, and a copy-back of the log flushes first by itself: once this
// flush returns, every transaction that had committed before it began survives a loss of power.
import { closeSync, fdatasync, openSync } from 'node:fs';
import { promisify } from 'node:util';

const datasync = promisify(fdatasync);

export interface Flush {
  /** Rejects with the system's error; what was to be flushed may then be lost. */
  run(): Promise<void>;
  close(): void;
}

/** The log is there from the first transaction on, and no other process removes it while we have the file open. */
export function createFlush(path: string): Flush {
  let handle: number | undefined;
  return {
    run() {
      handle ??= openSync(`${path}-wal`, 'r+');
      return datasync(handle);
    },
    close() {
      if (handle !== undefined) closeSync(handle);
      handle = undefined;
    },
  };
}
