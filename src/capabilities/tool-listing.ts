// Owns the tool list of one running server as we hold it, and when it is asked for anew.
//
// N1: a list is handed out only if it was asked for after the server last said that it changed.
// N2: at most one listing is under way; whoever needs one waits for it, for as long as he will.
// N3: a server that keeps saying that its list changed gets MAX_RELISTS questions for one caller, and unasked by
//     anybody one in REST_MS.
import { startDeadline } from '../base/abort.ts';
import type { Until } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import type { LiveList } from './definitions.ts';
import { untilAborted } from './until-aborted.ts';

export interface ToolListing {
  /** N1, N2. */
  current(until: Until): Promise<LiveList>;
  /** The last whole list; empty before there is one. */
  last(): LiveList;
  /** The server said that its list changed: asked for anew at once, within N3. */
  changed(): void;
  /** The server is gone. */
  end(): void;
}

export interface ListingParts {
  server: string;
  /** All pages. */
  ask(signal: AbortSignal): Promise<LiveList>;
  /** How long one listing may take. */
  limitMs: number;
  clock: Clock;
  /** Told after every whole list. */
  onListed: (list: LiveList) => void;
}

const MAX_RELISTS = 3;
const REST_MS = 1000;

export function createToolListing(parts: ListingParts): ToolListing {
  const { clock } = parts;
  const life = new AbortController();
  let list: LiveList = { tools: [], refused: [] };
  let isStale = true;
  let running: Promise<LiveList> | undefined;
  let isResting = false;
  let cancelRest = (): void => undefined;

  const relist = async (): Promise<LiveList> => {
    const deadline = startDeadline(clock, parts.limitMs, life.signal);
    try {
      for (let round = 0; isStale; round++) {
        if (round >= MAX_RELISTS) {
          throw new RuntimeError(
            'SUBPROCESS_PROTOCOL_ERROR',
            `the tools of ${parts.server} do not stop changing`,
          );
        }
        isStale = false;
        list = await parts.ask(deadline.signal);
        parts.onListed(list);
      }
      return list;
    } catch (thrown) {
      isStale = true;
      throw thrown;
    } finally {
      deadline.done();
      running = undefined;
    }
  };
  const current = async (until: Until): Promise<LiveList> => {
    if (running === undefined && !isStale) return list;
    running ??= relist();
    return untilAborted(running, until);
  };
  const relistUnasked = (): void => {
    isResting = true;
    cancelRest = clock.after(REST_MS, () => {
      isResting = false;
      if (isStale && !life.signal.aborted) relistUnasked();
    });
    // Whoever calls next asks again, and hears why it failed.
    current(life.signal).catch(() => undefined);
  };

  return {
    current,
    last: () => list,
    changed() {
      isStale = true;
      if (running === undefined && !isResting && !life.signal.aborted) relistUnasked();
    },
    end() {
      cancelRest();
      life.abort();
    },
  };
}
