// Owns how the end of a call is told to the protocol client, which listens to it as to a signal.
import type { Ending, Until } from '../base/abort.ts';

/** All that the client asks of a signal. A real one costs as much as sending the call, and hardly a call is ended. */
class HeardEnding implements Pick<AbortSignal, 'aborted' | 'reason'> {
  readonly #ending: Ending;
  readonly #heard = new Map<() => void, () => void>();

  constructor(ending: Ending) {
    this.#ending = ending;
  }

  get aborted(): boolean {
    return this.#ending.aborted;
  }

  get reason(): unknown {
    return this.#ending.reason;
  }

  addEventListener(_abort: 'abort', listener: () => void): void {
    this.#heard.set(listener, this.#ending.onEnd(listener));
  }

  removeEventListener(_abort: 'abort', listener: () => void): void {
    this.#heard.get(listener)?.();
    this.#heard.delete(listener);
  }
}

export function heardAsSignal(until: Until): AbortSignal {
  return 'onEnd' in until ? (new HeardEnding(until) as unknown as AbortSignal) : until;
}
