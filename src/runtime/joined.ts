// Owns what the rooms joined over one configuration are to whoever holds several of them: the handle without its end, and
// what has to be waited for before they may be left.
import type { LastResults } from '../kernel/budgets/last-results.ts';
import type { OpenDefaults } from '../pack/sessions/default-sessions.ts';
import type { Store } from '../store/contract.ts';
import type { CallLines, OpenLines } from './call-lines.ts';
import type { RuntimeHandle, RuntimeOptions } from './options.ts';

export interface Joined {
  readonly handle: Omit<RuntimeHandle, 'close'>;
  readonly lines: Pick<CallLines, 'lines' | 'settled'>;
  readonly defaults: OpenDefaults;
  /** What equal calls of those sessions returned last. */
  readonly results: LastResults;
  /** Takes up nothing more in the background; what was under way there is left to the next worker. */
  stopWorker(): Promise<void>;
  /** Ends everything but the store, which is not theirs. */
  close(): Promise<void>;
}

/** What is the process's and not a configuration's. */
export interface Before {
  store: Store;
  lines: OpenLines;
  defaults: OpenDefaults;
  results: LastResults;
}

export type Join = (options: RuntimeOptions, before?: Before) => Promise<Joined>;
