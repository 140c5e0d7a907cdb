// Owns what clients listen to while configurations are replaced: lists that change, and resources of other servers.
//
// K1  A subscription to a resource is asked for anew through the door of each configuration; where that refuses, it ends
//     with the one before.
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { joinReasons } from '../base/text.ts';
import { readArgs } from '../kernel/catalog/reads.ts';
import type { Caller } from '../kernel/identity.ts';
import type { GovernedReads } from './contract.ts';
import type { Generations, Handle } from './generations.ts';
import type { Log } from './options.ts';

const METHOD = 'resources/subscribe';

interface Watch {
  caller: Caller;
  what: Parameters<GovernedReads['watch']>[1];
  notify: (uri: string) => void;
  onEnd: () => void;
  by: Handle;
  stop: () => void;
  isOver: boolean;
}

interface Listening {
  caller: Caller;
  listener: Parameters<GovernedReads['onListChanged']>[1];
  stop: () => void;
}

export class KeptReads implements GovernedReads {
  readonly #generations: Generations;
  readonly #log: Log;
  readonly #watches = new Set<Watch>();
  readonly #listening = new Set<Listening>();

  constructor(generations: Generations, log: Log) {
    this.#generations = generations;
    this.#log = log;
  }

  get offered(): GovernedReads['offered'] {
    return this.#generations.handle.reads.offered;
  }

  servers(...of: Parameters<GovernedReads['servers']>): ReturnType<GovernedReads['servers']> {
    return this.#generations.enter(({ reads }) => reads.servers(...of));
  }

  list(...of: Parameters<GovernedReads['list']>): ReturnType<GovernedReads['list']> {
    return this.#generations.enter(({ reads }) => reads.list(...of));
  }

  async watch(
    caller: Caller,
    what: Watch['what'],
    notify: Watch['notify'],
    onEnd: Watch['onEnd'] = () => undefined,
  ): Promise<() => void> {
    const asked = { caller, what, notify, onEnd };
    const watch: Watch = { ...asked, ...(await this.#begin(asked)), isOver: false };
    const { by } = watch;
    this.#watches.add(watch);
    if (by !== this.#generations.handle) void this.#move(watch);
    return () => {
      watch.isOver = true;
      this.#watches.delete(watch);
      watch.stop();
    };
  }

  onListChanged(caller: Caller, listener: Listening['listener']): () => void {
    const stop = this.#generations.handle.reads.onListChanged(caller, listener);
    const listening: Listening = { caller, listener, stop };
    this.#listening.add(listening);
    return () => {
      this.#listening.delete(listening);
      listening.stop();
    };
  }

  /** The next configuration has been taken. */
  moved(): void {
    const { reads } = this.#generations.handle;
    for (const one of this.#listening) {
      one.stop();
      one.stop = reads.onListChanged(one.caller, one.listener);
    }
    for (const watch of [...this.#watches]) void this.#move(watch);
  }

  #begin({
    caller,
    what,
    notify,
    onEnd,
  }: Pick<Watch, 'caller' | 'what' | 'notify' | 'onEnd'>): Promise<Pick<Watch, 'by' | 'stop'>> {
    return this.#generations.enter(async (by) => {
      return { by, stop: await by.reads.watch(caller, what, notify, onEnd) };
    });
  }

  /** K1 */
  async #move(watch: Watch): Promise<void> {
    const { what, notify, onEnd } = watch;
    watch.stop();
    watch.stop = () => undefined;
    try {
      await this.#subscribe(watch);
      const { by, stop } = await this.#begin(watch);
      if (watch.isOver) stop();
      else Object.assign(watch, { by, stop });
    } catch (thrown) {
      const { code, message } = asRuntimeError(thrown);
      this.#log('info', 'a subscription ended with the configuration before', { code, reason: message });
      this.#watches.delete(watch);
      onEnd();
    }
    // What changed in between was seen by nobody; whoever is told reads it anew, if it may.
    notify(what.uri);
  }

  async #subscribe({ caller, what: { server, uri, signal } }: Watch): Promise<void> {
    const args = readArgs(METHOD, { uri });
    const answer = await this.#generations.enter((handle) =>
      handle.callCapability(caller, { tool: `${server}:${METHOD}`, args }, { signal }),
    );
    if (answer.status !== 'done')
      throw new RuntimeError('POLICY_DENIED', joinReasons(answer.decision.reasons));
  }
}
