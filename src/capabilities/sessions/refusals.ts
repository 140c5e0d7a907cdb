// Owns how much of what one server is refused stands on record: the first few of a minute each with its reason, and the
// rest of that minute as one number. A server that asks without end fills neither the journal nor our memory.
import type { Clock } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { cutTo } from '../../base/text.ts';

export interface Refused {
  method: string;
  why: string;
  /** The call that it was asked for, where there is one. */
  callId?: string;
}

export interface RefusalParts {
  clock: Clock;
  /** Takes secrets out of what the server calls a method. */
  redact: (text: string) => string;
  /** Writes one line on the chain of the server's session. */
  note: (evidence: JsonObject) => Promise<void>;
  /** The same where nobody waits for it. */
  noteLater: (evidence: JsonObject) => void;
}

export const MOST_A_MINUTE = 20;
const MINUTE_MS = 60_000;
const METHOD_CHARS = 100;

export class Refusals {
  readonly #parts: RefusalParts;
  #until = Number.NEGATIVE_INFINITY;
  #noted = 0;
  #left = 0;
  #cancel = (): void => undefined;

  constructor(parts: RefusalParts) {
    this.#parts = parts;
  }

  /** Rejects where it could not be recorded. */
  add(refused: Refused): Promise<void> {
    if (this.#isOne()) return this.#parts.note(this.#evidence(refused));
    this.leave(1);
    return Promise.resolve();
  }

  /** As `add`, for whom nobody waits. */
  addLater(refused: Refused): void {
    if (this.#isOne()) this.#parts.noteLater(this.#evidence(refused));
    else this.leave(1);
  }

  /** So many more, of which nothing is kept. */
  leave(count: number): void {
    if (count === 0) return;
    const { clock } = this.#parts;
    if (this.#left === 0) {
      this.#cancel = clock.after(Math.max(0, this.#until - clock.monotonic()), () => this.end());
    }
    this.#left += count;
  }

  /** Tells the number of those that were left out so far. */
  end(): void {
    this.#cancel();
    const left = this.#left;
    this.#left = 0;
    if (left > 0) this.#parts.noteLater({ left_out: left, why: `more than ${MOST_A_MINUTE} in a minute` });
  }

  /** Whether this one has a line of its own. */
  #isOne(): boolean {
    const now = this.#parts.clock.monotonic();
    if (now >= this.#until) {
      this.end();
      this.#until = now + MINUTE_MS;
      this.#noted = 0;
    }
    return ++this.#noted <= MOST_A_MINUTE;
  }

  /** Redacted before it is cut: a cut secret is no longer recognized. */
  #evidence({ method, why, callId }: Refused): JsonObject {
    return {
      method: cutTo(this.#parts.redact(method.toWellFormed()), METHOD_CHARS),
      why,
      ...(callId === undefined ? {} : { call_id: callId }),
    };
  }
}
