// Owns how a process that serves learns that its configuration is to be taken anew, and what it answers.
//
// W1  Taken is exactly the digest that was asked for, whole, or nothing: whatever refuses keeps what runs.
// W2  One request is answered once.
import type { Clock } from '../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { assertTakenRunning } from '../config/start-only.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { answerRequest, digestsOf, readBook, takeConfig } from './config-book.ts';
import type { BookParts, ReloadAnswer, ReloadRequest, ServingProcess } from './config-book.ts';
import type { Handle } from './generations.ts';
import type { Joined } from './joined.ts';
import type { Log } from './options.ts';

export interface ReloadWatchParts {
  book: BookParts;
  clock: Clock;
  log: Log;
  load: () => Promise<RuntimeConfig>;
  running: () => Handle;
  join: (config: RuntimeConfig) => Promise<Joined>;
  take: (next: Joined, record: () => Promise<void>) => Promise<void>;
  own: ServingProcess;
}

// A person waits for the answer; each look is one read of a row.
const LOOK_MS = 500;

export class ReloadWatch {
  readonly #parts: ReloadWatchParts;
  #own: ServingProcess;
  /** W2: answered, or given up because the answer could not be written. */
  #done: string | undefined;
  #cancel: () => void = () => undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: ReloadWatchParts) {
    this.#parts = parts;
    this.#own = parts.own;
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#looking;
  }

  #arm(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#parts.clock.after(LOOK_MS, () => {
      this.#looking = this.#look()
        .catch((thrown: unknown) => {
          const { code, message } = asRuntimeError(thrown);
          this.#parts.log('warn', 'whether to take the configuration anew could not be seen', {
            code,
            message,
          });
        })
        .finally(() => this.#arm());
    });
  }

  async #look(): Promise<void> {
    const { book } = this.#parts;
    const { request } = await readBook(book);
    if (request === undefined || request.id === this.#done) return;
    if (request.directory !== this.#own.directory) return;
    this.#done = request.id;
    const answer = await this.#answer(request);
    if (answer.outcome === 'taken') {
      this.#own = { ...this.#own, ...digestsOf(this.#parts.running().config), answer };
      return;
    }
    this.#own = { ...this.#own, answer };
    await answerRequest(book, this.#own, answer);
  }

  async #answer(request: ReloadRequest): Promise<ReloadAnswer> {
    const { log, running } = this.#parts;
    const from = running().config.digest;
    const { id, by } = request;
    try {
      const outcome = await this.#take(request);
      if (outcome === 'taken') log('info', 'the configuration was taken', { from, to: request.digest, by });
      return { request: id, outcome };
    } catch (thrown) {
      const { code, message } = asRuntimeError(thrown);
      const shown = running().kernel.redactText(message);
      log('warn', 'the configuration was not taken; what runs stays', {
        digest: request.digest,
        code,
        reason: shown,
      });
      return { request: id, outcome: 'refused', code, message: shown };
    }
  }

  /** W1 */
  async #take(request: ReloadRequest): Promise<'taken' | 'same'> {
    const { load, running, join, take, book } = this.#parts;
    const config = await load();
    const { config: was } = running();
    if (config.digest === was.digest) return 'same';
    if (config.digest !== request.digest) {
      throw new RuntimeError('CONFLICT', 'The files changed after it was asked for; ask again.');
    }
    assertTakenRunning(was, config);
    const next = await join(config);
    try {
      const now = digestsOf(config);
      await take(next, () => takeConfig(book, { was: this.#own, now, request }));
    } catch (thrown) {
      await next.close();
      throw thrown;
    }
    return 'taken';
  }
}
