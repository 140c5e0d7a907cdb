// Owns what is taken from how jobs come: alone, so that the next one is run and flushed at once, or in company, so that it
// waits for the others of its turn of the event loop and shares their flush. One caller may well bring several in a turn, so a
// turn alone tells nothing: the steps of a series, and what comes first in a turn, are nobody's company.
import type { Series } from '../../base/series.ts';
import type { CommitFlush } from '../contract.ts';

// After jobs came in company the next ones are taken to be so too, for as many transactions.
const STAYS = 32;
// After so many that went at once, some ten milliseconds, the event loop goes on first: whoever takes steps without end, or
// tries again without end, keeps nobody else from his.
const MOST_AT_ONCE = 8;

/** Of a job, whose it is and when it is flushed. */
export interface Comer {
  flush: CommitFlush | undefined;
  series: Series | undefined;
  after: Series | undefined;
}

const seriesOf = ({ series, after }: Comer): Series | undefined => series ?? after;

/** What has happened since the event loop last went on. */
interface Turn {
  wentAtOnce: number;
  /** By whom the last flush at once was; undefined without one. */
  flushed: { by: Series | undefined } | undefined;
}

export class Company {
  #left = 0;
  #turn: Turn | undefined;

  get isThere(): boolean {
    return this.#left > 0;
  }

  /** Whether what is queued is to be run now: nothing tells of others that will come in this turn. Counts as having gone. */
  goesAtOnce(queue: readonly Comer[]): boolean {
    if (this.isThere) return false;
    const turn = this.#thisTurn();
    if (turn.wentAtOnce >= MOST_AT_ONCE) return false;
    const before = turn.flushed;
    // What goes with the next keeps nobody from sharing a flush, unless somebody else has just had one to himself.
    const isAlone =
      before === undefined ||
      queue.every(
        (job) => job.flush === 'with_next' && (before.by === undefined || before.by === seriesOf(job)),
      );
    if (isAlone) turn.wentAtOnce++;
    return isAlone;
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
    this.#thisTurn().flushed = { by: job && seriesOf(job) };
  }

  #thisTurn(): Turn {
    if (this.#turn === undefined) {
      this.#turn = { wentAtOnce: 0, flushed: undefined };
      setImmediate(() => (this.#turn = undefined));
    }
    return this.#turn;
  }
}
