// The floor's group commit: what comes in one turn of the event loop is one transaction, and what has committed while the
// log is flushed shares the next flush. Nobody is told before the flush that has him on disk.
import { fdatasync, openSync } from 'node:fs';
import { promisify } from 'node:util';

const flush = promisify(fdatasync);

/** Runs works in shared transactions of `db`, whose log must not be flushed by the engine itself. */
export function openGroup(db, path) {
  let queue = [];
  let committed = [];
  let log;
  let isFlushing = false;

  async function flushAll() {
    isFlushing = true;
    while (committed.length > 0) {
      const told = committed;
      committed = [];
      await flush((log ??= openSync(`${path}-wal`, 'r+')));
      for (const tell of told) tell();
    }
    isFlushing = false;
  }
  function commit() {
    const jobs = queue;
    queue = [];
    db.exec('BEGIN IMMEDIATE');
    for (const { work } of jobs) work();
    db.exec('COMMIT');
    committed.push(...jobs.map(({ tell }) => tell));
    if (!isFlushing) void flushAll();
  }
  return (work) =>
    new Promise((tell) => {
      if (queue.push({ work, tell }) === 1) setImmediate(commit);
    });
}
