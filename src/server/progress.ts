// Owns what a client hears while its call runs: values that only grow, at most ten notifications a second, nothing after
// the answer. Plain progress is a state, so the latest wins; snapshots are a sequence, so none is dropped.
import type { Clock } from '../base/clock.ts';
import type { Progress } from '../kernel/execution/executor.ts';
import type { TurnSnapshot } from '../pack/turn/contract.ts';

const SNAPSHOTS_META_KEY = 'agent-runtime/snapshots';

// Nine in any second, and the last flush makes ten. A few may come at once, so that three steps stay three.
const BURST = 3;
const GAP_MS = 167;
// A heartbeat and a step back still have to grow, without running ahead of the real value.
const SMALLEST_STEP = 1 / 1024;

export interface ProgressParams {
  progressToken: string | number;
  progress: number;
  total?: number;
  message?: string;
  _meta?: Record<string, unknown>;
}

export interface ProgressRelay {
  progress(progress: Progress): void;
  snapshot(snapshot: TurnSnapshot): void;
  /** Says that the call is alive and waits for a person. */
  beat(): void;
  /** Sends what is held back; afterwards nothing is sent. */
  end(): Promise<void>;
}

const SILENT: ProgressRelay = {
  progress: () => undefined,
  snapshot: () => undefined,
  beat: () => undefined,
  end: async () => undefined,
};

interface Held {
  latest: Progress | undefined;
  snapshots: TurnSnapshot[];
  beats: boolean;
}

class Relay implements ProgressRelay {
  readonly #token: string | number;
  readonly #notify: (params: ProgressParams) => Promise<void>;
  readonly #clock: Clock;
  #last: number | undefined;
  /** When all that was sent would have been due at one each gap. */
  #paidUntil = 0;
  #latest: Progress | undefined;
  #snapshots: TurnSnapshot[] = [];
  #beats = false;
  #cancelTimer: (() => void) | undefined;
  #ended = false;

  constructor(token: string | number, notify: (params: ProgressParams) => Promise<void>, clock: Clock) {
    this.#token = token;
    this.#notify = notify;
    this.#clock = clock;
  }

  progress(progress: Progress): void {
    this.#latest = progress;
    this.#schedule();
  }

  snapshot(snapshot: TurnSnapshot): void {
    this.#snapshots.push(snapshot);
    this.#schedule();
  }

  beat(): void {
    this.#beats = true;
    this.#schedule();
  }

  async end(): Promise<void> {
    this.#cancelTimer?.();
    await this.#send();
    this.#ended = true;
  }

  #schedule(): void {
    if (this.#ended || this.#cancelTimer !== undefined) return;
    const wait = this.#paidUntil - (BURST - 1) * GAP_MS - this.#clock.monotonic();
    if (wait <= 0) {
      void this.#send();
      return;
    }
    this.#cancelTimer = this.#clock.after(wait, () => {
      this.#cancelTimer = undefined;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const params = this.#take();
    if (this.#ended || params === undefined) return;
    try {
      await this.#notify(params);
    } catch {
      // The client is gone; its call learns that from its signal.
    }
  }

  #take(): ProgressParams | undefined {
    const held = { latest: this.#latest, snapshots: this.#snapshots, beats: this.#beats };
    if (held.latest === undefined && held.snapshots.length === 0 && !held.beats) return undefined;
    this.#latest = undefined;
    this.#snapshots = [];
    this.#beats = false;
    const floor = this.#last === undefined ? 0 : this.#last + SMALLEST_STEP;
    const value = Math.max(held.latest?.progress ?? held.snapshots.at(-1)?.sequence ?? floor, floor);
    this.#last = value;
    this.#paidUntil = Math.max(this.#paidUntil, this.#clock.monotonic()) + GAP_MS;
    const message = messageOf(held);
    return {
      progressToken: this.#token,
      progress: value,
      ...(message === undefined ? {} : { message }),
      ...(held.latest?.total === undefined || held.latest.total < value ? {} : { total: held.latest.total }),
      ...(held.snapshots.length === 0 ? {} : { _meta: { [SNAPSHOTS_META_KEY]: held.snapshots } }),
    };
  }
}

function messageOf(held: Held): string | undefined {
  const { latest, snapshots, beats } = held;
  if (latest?.message !== undefined) return latest.message;
  const last = snapshots.at(-1);
  if (last !== undefined) return `${last.state} snapshot ${last.sequence}`;
  return beats && latest === undefined ? 'waiting for an answer' : undefined;
}

/** Silent where the client gave no token. */
export function relayProgress(
  token: string | number | undefined,
  notify: (params: ProgressParams) => Promise<void>,
  clock: Clock,
): ProgressRelay {
  return token === undefined ? SILENT : new Relay(token, notify, clock);
}
