// The floor's group commit: what comes in one turn of the event loop is one write, and what has been written while the file
// is flushed shares the next flush. Nobody is told before the flush that has him on disk.
import { fdatasync, openSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';

const flush = promisify(fdatasync);

function together(write, file) {
  let queue = [];
  let written = [];
  let isFlushing = false;

  async function flushAll() {
    isFlushing = true;
    while (written.length > 0) {
      const told = written;
      written = [];
      await flush(file());
      for (const tell of told) tell();
    }
    isFlushing = false;
  }
  function commit() {
    const jobs = queue;
    queue = [];
    write(jobs.map(({ work }) => work));
    written.push(...jobs.map(({ tell }) => tell));
    if (!isFlushing) void flushAll();
  }
  return (work) =>
    new Promise((tell) => {
      if (queue.push({ work, tell }) === 1) setImmediate(commit);
    });
}

/** Runs works in shared transactions of `db`, whose log must not be flushed by the engine itself. */
export function openGroup(db, path) {
  let log;
  const write = (works) => {
    db.exec('BEGIN IMMEDIATE');
    for (const work of works) work();
    db.exec('COMMIT');
  };
  return together(write, () => (log ??= openSync(`${path}-wal`, 'r+')));
}

/** Appends lists of buffers to a file, without an engine. */
export function openFileGroup(path) {
  const file = openSync(path, 'a');
  return together(
    (lists) => writevSync(file, lists.flat()),
    () => file,
  );
}
