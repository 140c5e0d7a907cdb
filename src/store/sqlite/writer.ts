// Owns the one path by which anything is written: a queue of jobs, and one transaction for all jobs of one turn of the
// event loop, so that they share one flush to disk (group commit). Jobs judge and write; the writer owns BEGIN, COMMIT,
// waiting for other processes, and what each caller is told.
//
// W1  A job runs inside BEGIN IMMEDIATE: nobody else writes between what it reads and what it writes (S2).
// W2  A job's promise settles only after COMMIT has returned or the transaction is undone (S1).
// W3  A job that throws a RuntimeError has written nothing yet, so it is refused alone and the others go on.
// W4  Any other error may have left half a job: the transaction is undone and each job runs again in one of its own,
//     so that one job's damage or size does not refuse its neighbours.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RuntimeError } from '../../base/errors.ts';
import type { Connection } from './connection.ts';
import { isBusy, storeError, whenFree } from './faults.ts';

// Bounds how long one transaction keeps the event loop and other processes waiting (about 30 ms).
const MOST_JOBS = 512;

export interface Writer {
  /** Runs the job in the next shared transaction; resolves with what it returned once that is durable. */
  write<T>(doing: string, job: () => T): Promise<T>;
  /** Refuses new jobs and waits for those that were accepted. */
  close(): Promise<void>;
}

interface Job {
  doing: string;
  run(): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

type Outcome = { value: unknown } | { refused: RuntimeError };

function rollback(db: Connection): void {
  if (!db.inTransaction) return; // the engine undoes it itself when the disk is full
  try {
    db.exec('ROLLBACK');
  } catch {
    // It was undone meanwhile, or BEGIN will say what is wrong.
  }
}

function runJob(job: Job): Outcome {
  try {
    return { value: job.run() };
  } catch (error) {
    if (error instanceof RuntimeError) return { refused: error }; // W3
    throw error;
  }
}

/** One transaction over all jobs, undone when anything fails. */
function transact(db: Connection, jobs: Job[]): Outcome[] {
  db.exec('BEGIN IMMEDIATE'); // W1
  try {
    const outcomes = jobs.map(runJob);
    db.exec('COMMIT');
    return outcomes;
  } catch (error) {
    rollback(db);
    throw error;
  }
}

function tell(jobs: Job[], outcomes: Outcome[]): void {
  jobs.forEach((job, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined || 'refused' in outcome) job.reject(outcome?.refused);
    else job.resolve(outcome.value);
  });
}

async function settle(db: Connection, jobs: Job[]): Promise<void> {
  try {
    const run = (): Outcome[] => transact(db, jobs);
    let outcomes: Outcome[];
    try {
      outcomes = run(); // the usual case takes no extra turn
    } catch (error) {
      if (!isBusy(error)) throw error;
      outcomes = await whenFree(run);
    }
    tell(jobs, outcomes); // W2
  } catch (error) {
    const [only] = jobs;
    if (jobs.length > 1 && !isBusy(error))
      for (const job of jobs) await settle(db, [job]); // W4
    else if (jobs.length > 1) for (const job of jobs) job.reject(storeError(error, job.doing));
    else only?.reject(storeError(error, only.doing));
  }
}

export function createWriter(db: Connection): Writer {
  let queue: Job[] = [];
  let draining: Promise<void> | undefined;
  let isClosed = false;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      await nextTurn(); // everything queued in this turn goes together
      const jobs = queue.slice(0, MOST_JOBS);
      queue = queue.slice(MOST_JOBS);
      await settle(db, jobs);
    }
    draining = undefined;
  }

  return {
    async write<T>(doing: string, job: () => T) {
      if (isClosed) throw new RuntimeError('STORE_UNAVAILABLE', 'The store is closed.', { doing });
      return new Promise<T>((resolve, reject) => {
        queue.push({ doing, run: job, resolve: (value) => resolve(value as T), reject });
        draining ??= drain();
      });
    },
    async close() {
      isClosed = true;
      await draining;
    },
  };
}
