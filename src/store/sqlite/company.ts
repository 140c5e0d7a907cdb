// Owns what is taken from how jobs come: alone, so that the next one is run and flushed at once, or in company, so that it
// waits for the others of its turn of the event loop and shares their flush. One caller may well bring several in a turn, so a
// turn alone tells nothing: the steps of a series, and what comes first in a turn, are nobody's company.
import type { Series } from '../../base/series.ts';
import type { CommitFlush } from '../contract.ts';

// After jobs came in company the next ones are taken to be so too, for as many transactions.
const STAYS = 32;
// After so many flushes at once, some ten milliseconds, the event loop goes on first: whoever takes steps without end keeps
// nobody else from his.
const MOST_AT_ONCE = 8;

/** Of a job, whose it is and when it is flushed. */
export interface Comer {
  flush: CommitFlush | undefined;
  series: Series | undefined;
  after: Series | undefined;
}

const seriesOf = ({ series, after }: Comer): Series | undefined => series ?? after;

export class Company {
  #left = 0;
  #flushed: { by: Series | undefined; times: number } | undefined; // at once, since the event loop last went on

  get isThere(): boolean {
    return this.#left > 0;
  }

  /** Whether nothing tells of others that will come in this turn besides what is queued. */
  isAlone(queue: readonly Comer[]): boolean {
    if (this.isThere) return false;
    const before = this.#flushed;
    if (before === undefined) return true;
    if (before.times >= MOST_AT_ONCE) return false;
    // What goes with the next keeps nobody from sharing a flush, unless somebody else has just had one to himself.
    return queue.every(
      (job) => job.flush === 'with_next' && (before.by === undefined || before.by === seriesOf(job)),
    );
  }

  /** A job has joined the transaction of those that wait for the next. */
  joins(job: Comer, open: readonly Comer[]): void {
    const series = seriesOf(job);
    if (series !== undefined && open.some((one) => seriesOf(one) !== series)) this.#left = STAYS;
  }

  /** Jobs have committed together; `isWaitedFor`: others wait for the disk meanwhile. Says whether they are in company. */
  committed(jobs: readonly Comer[], isWaitedFor: boolean): boolean {
    if (jobs.length > 1 || isWaitedFor) this.#left = STAYS;
    else if (this.#left > 0) this.#left--;
    return this.isThere;
  }

  flushedAtOnce([job]: readonly Comer[]): void {
    if (this.#flushed === undefined) setImmediate(() => (this.#flushed = undefined));
    this.#flushed = { by: job && seriesOf(job), times: (this.#flushed?.times ?? 0) + 1 };
  }
}
