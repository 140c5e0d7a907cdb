// Owns the one path by which anything is written: a queue of jobs, and one transaction for all jobs of one turn of the
// event loop that are not alone in it (company.ts), so that they share one flush to disk (group commit). Jobs judge and write; the writer owns BEGIN, COMMIT,
// the flush, waiting for other processes, and what each caller is told.
//
// COMMIT only writes to the log. A job that comes alone is run and flushed at once, which is quickest for it; when jobs come
// in company one flush serves all that have committed meanwhile, and the event loop goes on. A job may ask to be flushed
// behind: it is told when it is in the log, and its flush comes with the next one, or by itself a moment later. Or to be
// committed with the next: it is told when it has run, and its transaction stays open for what follows at once, at most
// to the end of the turn of the event loop. What follows it alone joins it at once.
//
// W1  A job runs inside BEGIN IMMEDIATE: nobody else writes between what it reads and what it writes (S2).
// W2  A job's promise settles only after its commit is on disk or the transaction is undone (S1); one flushed behind only
//     after it is in the log, which the end of this process cannot undo. Whoever reads waits for commit and flush.
// W3  A job that throws a RuntimeError has written nothing yet, so it is refused alone and the others go on.
// W4  Any other error may have left half a job: the transaction is undone and each job runs again in one of its own,
//     so that one job's damage or size does not refuse its neighbours.
// W5  A flush that failed leaves open what is on disk, and one after it says nothing of that: this process writes nothing
//     more and tells nothing of what it can see, also to those that wait for a later flush.
// W6  A job committed with the next that is undone runs again, alone, before what followed it; its promise is settled, so
//     where it is refused now, what builds on it is refused by its own conditions (S3, S6), or by its series (Y2). One that
//     was refused then stays so, whatever it would be now.
import { RuntimeError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { CommitFlush } from '../contract.ts';
import { Company } from './company.ts';
import { Unflushed } from '../../base/series.ts';
import type { Series } from '../../base/series.ts';
import type { Connection } from './connection.ts';
import { isBusy, storeError, whenFree } from './faults.ts';
import type { Flush } from './flush.ts';

// Bounds how long one transaction keeps the event loop and other processes waiting (about 30 ms).
const MOST_JOBS = 512;
// What is flushed behind is on disk this late, where nothing follows it.
const BEHIND_MS = 5;
// And a transaction stays open for at most so many that follow: other processes wait for its end.
const MOST_FOLLOWING = 8;

/** What has to know of every transaction. */
interface Listener {
  begun(): void;
  /** All jobs have run; what they have not written yet is to be written now. */
  ending(): void;
  undone(): void;
}

/** How a job is told. */
export interface How {
  flush?: CommitFlush | undefined;
  series?: Series | undefined;
  after?: Series | undefined;
}

const PLAINLY: How = {};

export interface Writer {
  /** Runs the job in the next shared transaction; resolves with what it returned once that is durable (W2). */
  write<T>(doing: string, job: () => T, how?: How): Promise<T>;
  /** Commits what waits for the next, so that the engine is outside of a transaction. Throws what the engine says. */
  commitOpen(): void;
  /** What has to end before everything that a read can see by now is on disk; undefined when it is. */
  unsettled(): Promise<void> | undefined;
  /** What can be read by now and is not on disk; undefined when all is. */
  unflushed(): Unflushed | undefined;
  /** Refuses new jobs and waits for those that were accepted. */
  close(): Promise<void>;
}

interface Job {
  doing: string;
  flush: CommitFlush | undefined;
  series: Series | undefined;
  after: Series | undefined;
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
    job.after?.assertWhole(); // Y2
    return { value: job.run() };
  } catch (error) {
    if (error instanceof RuntimeError) return { refused: error }; // W3
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

/** A transaction that is not committed yet, whose jobs have been told (W6). */
interface Open {
  jobs: Job[];
  following: number;
  what: Unflushed;
}

/** Its series is lost; what it had to say is kept if it can be. */
const behind = (job: Job): Job => ({ ...job, flush: 'behind', series: undefined, after: undefined });

function tellSeries(jobs: Job[], unflushed: () => Unflushed | undefined): void {
  for (const { series } of jobs) {
    const what = series && unflushed();
    if (what !== undefined) series?.tell(what);
  }
}

/** W6: a refusal is an error, or a commit's answer. */
function wasDone(outcome: Outcome | undefined): boolean {
  if (outcome === undefined || 'refused' in outcome) return false;
  const { value } = outcome;
  return !(typeof value === 'object' && value !== null && 'ok' in value && value.ok === false);
}

/** Whether the transaction may stay open for what follows. */
function mayWait(open: Open | undefined, jobs: Job[]): boolean {
  if (jobs.length === 0 || (open !== undefined && open.following >= MOST_FOLLOWING)) return false;
  return jobs.every(({ flush }) => flush === 'with_next');
}

/** What has committed since the last flush began and is told by the next, and who waits for that besides. */
interface Batch {
  commits: { jobs: Job[]; outcomes: Outcome[] }[];
  waiting: { resolve: () => void; reject: (error: RuntimeError) => void }[];
  /** What series have been told of it. */
  told: Unflushed[];
}

const emptyBatch = (): Batch => ({ commits: [], waiting: [], told: [] });

interface Parts {
  db: Connection;
  flush: Flush;
  listener: Listener;
  clock: Clock;
}

class SqliteWriter implements Writer {
  readonly #db: Connection;
  readonly #flush: Flush;
  readonly #listener: Listener;
  readonly #clock: Clock;
  #queue: Job[] = [];
  #open: Open | undefined;
  #draining: Promise<void> | undefined;
  #next: Batch = emptyBatch();
  #flushing: Batch | undefined;
  readonly #company = new Company();
  #goOn = (): void => undefined;
  #cancelBehind: (() => void) | undefined; // while something waits to be flushed behind
  #closed = false;
  #broken: RuntimeError | undefined; // W5

  constructor({ db, flush, listener, clock }: Parts) {
    this.#db = db;
    this.#flush = flush;
    this.#listener = listener;
    this.#clock = clock;
    db.pragma('synchronous = NORMAL'); // W2 is kept here
  }

  async write<T>(doing: string, job: () => T, { flush, series, after }: How = PLAINLY): Promise<T> {
    if (this.#closed) throw new RuntimeError('STORE_UNAVAILABLE', 'The store is closed.', { doing });
    if (this.#broken !== undefined) throw this.#broken;
    return new Promise<T>((resolve, reject) => {
      const made: Job = {
        doing,
        flush,
        series,
        after,
        run: job,
        resolve: (value) => resolve(value as T),
        reject,
      };
      if (this.#open !== undefined && this.#queue.length === 0) this.#join(this.#open, made);
      else this.#queue.push(made);
      this.#draining ??= this.#drain();
      const isNext = this.#queue.length > 0 && this.#open === undefined;
      // Together with what else is queued until then.
      if (isNext && this.#company.goesAtOnce(this.#queue)) process.nextTick(this.#goOn);
    });
  }

  #join(open: Open, job: Job): void {
    this.#company.joins(job, open.jobs);
    try {
      this.#settled([job], this.#transact([job]));
    } catch {
      this.#queue.push(...open.jobs.map(behind), job); // W4, W6
    }
  }

  commitOpen(): void {
    if (this.#open === undefined) return;
    const { jobs } = this.#open;
    try {
      this.#settled([], this.#transact([]));
    } catch (error) {
      this.#queue.unshift(...jobs.map(behind)); // W6
      throw storeError(error, 'commit');
    }
  }

  unsettled(): Promise<void> | undefined {
    this.#hurry();
    const batch = this.#next.commits.length > 0 ? this.#next : this.#flushing;
    return batch && new Promise((resolve, reject) => batch.waiting.push({ resolve, reject }));
  }

  /** At once where nobody else waits for the disk, as for a job that comes alone. */
  #settleSeries(): void {
    this.commitOpen();
    const isInCompany = this.#company.committed([], false);
    if (!isInCompany && this.#flushing === undefined) this.#flushNow([], []);
    else this.#hurry();
  }

  #hurry(): void {
    this.commitOpen();
    if (this.#broken !== undefined) throw this.#broken; // W5
    if (this.#cancelBehind !== undefined) this.#flushLater([], []);
  }

  unflushed(): Unflushed | undefined {
    if (this.#open !== undefined) return this.#open.what;
    if (this.#broken !== undefined) {
      const lost = new Unflushed();
      lost.lose(this.#broken); // W5
      return lost;
    }
    const isBehind = this.#cancelBehind !== undefined || this.#next.commits.length > 0;
    const batch = isBehind ? this.#next : this.#flushing;
    if (batch === undefined) return undefined;
    const what = batch.told.at(-1) ?? this.#begin();
    if (batch.told.length === 0) batch.told.push(what);
    return what;
  }

  #begin(): Unflushed {
    return new Unflushed(() => {
      try {
        this.#settleSeries();
      } catch {
        // Whoever waits is told so by its fate.
      }
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    try {
      await this.unsettled();
    } catch {
      // Whoever was told otherwise by it has been told so.
    }
    this.#flush.close();
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 || this.#open !== undefined) {
      await new Promise<void>((resolve) => {
        this.#goOn = resolve;
        setImmediate(resolve); // everything queued in this turn goes together
      });
      const jobs = this.#queue.slice(0, MOST_JOBS);
      this.#queue = this.#queue.slice(MOST_JOBS);
      if (this.#broken !== undefined) this.#refuse(jobs, this.#broken);
      else if (jobs.length > 0 || this.#open !== undefined) await this.#settle(jobs);
    }
    this.#draining = undefined;
  }

  #refuse(jobs: Job[], reason: RuntimeError): void {
    if (this.#open !== undefined) this.#undo(reason);
    for (const job of jobs) job.reject(reason);
  }

  async #settle(jobs: Job[]): Promise<void> {
    const told = this.#open?.jobs ?? [];
    try {
      // Together: whoever reads in between would see what is neither flushed nor waits for that.
      const run = (): void => {
        this.#settled(jobs, this.#transact(jobs));
      };
      try {
        run(); // the usual case takes no extra turn
      } catch (error) {
        if (!isBusy(error) || told.length > 0) throw error;
        await whenFree(run);
      }
    } catch (error) {
      const [only] = jobs;
      if (told.length > 0 || (jobs.length > 1 && !isBusy(error))) {
        for (const job of [...told.map(behind), ...jobs]) await this.#settle([job]); // W4, W6
      } else if (jobs.length > 1) for (const job of jobs) job.reject(storeError(error, job.doing));
      else only?.reject(storeError(error, only.doing));
    }
  }

  /** Runs the jobs in the open transaction or a new one; commits it, unless it may wait for what follows. */
  #transact(jobs: Job[]): Outcome[] {
    const open = this.#open;
    const isNew = open === undefined;
    if (isNew) this.#db.exec('BEGIN IMMEDIATE'); // W1
    try {
      if (this.#broken !== undefined) throw this.#broken; // W5; it may have failed while another process held the file
      if (isNew) this.#listener.begun();
      const outcomes = jobs.map(runJob);
      if (mayWait(open, jobs)) {
        const done = jobs.filter((_, index) => wasDone(outcomes[index]));
        this.#open = {
          jobs: isNew ? done : [...open.jobs, ...done],
          following: isNew ? 0 : open.following + 1,
          what: open?.what ?? this.#begin(),
        };
      } else {
        this.#listener.ending();
        this.#db.exec('COMMIT');
        if (!isNew) this.#next.told.push(open.what);
        this.#open = undefined;
      }
      return outcomes;
    } catch (error) {
      this.#undo(error);
      throw error;
    }
  }

  #undo(error: unknown): void {
    this.#open?.what.lose(storeError(error, 'commit'));
    this.#open = undefined;
    this.#listener.undone();
    rollback(this.#db);
  }

  /** W2 */
  #settled(jobs: Job[], outcomes: Outcome[]): void {
    if (this.#open !== undefined) {
      tellSeries(jobs, () => this.unflushed());
      tell(jobs, outcomes);
    } else if (jobs.every(({ flush }) => flush !== undefined)) {
      this.#cancelBehind ??= this.#clock.after(BEHIND_MS, () => {
        this.#flushLater([], []);
      });
      tellSeries(jobs, () => this.unflushed());
      tell(jobs, outcomes);
    } else if (this.#isCompany(jobs)) {
      this.#flushLater(jobs, outcomes);
    } else {
      this.#flushNow(jobs, outcomes);
    }
  }

  /** Whether others wait for the disk besides; then the next ones are taken to be so too. */
  #isCompany(jobs: Job[]): boolean {
    const isWaitedFor = this.#flushing?.commits.some((one) => one.jobs.length > 0) ?? false;
    return this.#company.committed(jobs, isWaitedFor);
  }

  #flushNow(jobs: Job[], outcomes: Outcome[]): void {
    try {
      if (this.#broken !== undefined) throw this.#broken; // W5
      this.#flush.now();
      this.#company.flushedAtOnce(jobs);
    } catch (error) {
      this.#broken = storeError(error, 'flush');
      for (const job of jobs) job.reject(this.#broken);
      for (const what of this.#next.told.splice(0)) what.lose(this.#broken);
      return;
    }
    this.#noneBehind();
    for (const what of this.#next.told.splice(0)) what.keep();
    tell(jobs, outcomes);
  }

  #noneBehind(): void {
    this.#cancelBehind?.();
    this.#cancelBehind = undefined;
  }

  #flushLater(jobs: Job[], outcomes: Outcome[]): void {
    this.#noneBehind();
    this.#next.commits.push({ jobs, outcomes });
    if (this.#flushing === undefined) void this.#flushAll();
  }

  async #flushAll(): Promise<void> {
    while (this.#next.commits.length > 0) {
      const batch = this.#next;
      this.#flushing = batch;
      this.#next = emptyBatch();
      try {
        if (this.#broken !== undefined) throw this.#broken; // W5
        await this.#flush.run();
        for (const { jobs, outcomes } of batch.commits) tell(jobs, outcomes); // W2
        for (const what of batch.told) what.keep();
        for (const { resolve } of batch.waiting) resolve();
      } catch (error) {
        const broken = storeError(error, 'flush');
        this.#broken = broken;
        for (const { jobs } of batch.commits) for (const job of jobs) job.reject(broken);
        for (const what of batch.told) what.lose(broken);
        for (const { reject } of batch.waiting) reject(broken);
      }
    }
    this.#flushing = undefined;
  }
}

export function createWriter(parts: Parts): Writer {
  return new SqliteWriter(parts);
}
