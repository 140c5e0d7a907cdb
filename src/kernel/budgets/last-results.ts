// Owns what equal calls returned last, where a call is a cycle only while it returns the same. Kept by the process, as the
// session is that such calls belong to.
import { sha256 } from '../../base/digest.ts';

// The longest unused is forgotten: then its next result counts as the same as the last.
const MOST_KEPT = 10_000;

export class LastResults {
  readonly #digests = new Map<string, string>();

  /** Notes the result of a call; true: its last one was another. */
  note(call: string, result: string): boolean {
    const digest = sha256(result);
    const last = this.#digests.get(call);
    this.#digests.delete(call);
    this.#digests.set(call, digest);
    const [oldest] = this.#digests.keys();
    if (this.#digests.size > MOST_KEPT && oldest !== undefined) this.#digests.delete(oldest);
    return last !== undefined && last !== digest;
  }
}
