// Owns one principal's watch of one resource: the connection that it keeps, and the subscription, made on the next connection
// where one ends.
//
// H1  A watch goes on or is told that it is over; it is never silent because its server was started anew.
import type { Session } from '../session.ts';

export interface WatchParts {
  uri: string;
  notify: (uri: string) => void;
  onEnd: () => void;
  /** A session of the connection that is kept. */
  open: (signal: AbortSignal) => Promise<Session>;
  /** Gives the connection back. */
  leave: () => void;
}

export class Watch {
  readonly #parts: WatchParts;
  readonly #life = new AbortController();
  #unfollow = (): void => undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** Takes over what the call that it follows has subscribed to. Throws when there is no such session, or it refuses. */
  async begin(signal: AbortSignal): Promise<void> {
    const { uri, open } = this.#parts;
    try {
      const session = await open(signal);
      await session.reads.follow(uri, signal);
      this.#follow(session);
    } catch (thrown) {
      this.stop();
      throw thrown;
    }
  }

  stop(): void {
    if (this.#life.signal.aborted) return;
    this.#life.abort();
    this.#unfollow();
    this.#parts.leave();
  }

  #follow(session: Session): void {
    const { uri, notify } = this.#parts;
    const deafen = session.reads.onNotice((notice) => {
      if (notice.kind !== 'updated') return;
      if (notice.uri === uri || notice.uri.startsWith(`${uri}/`)) notify(notice.uri);
    });
    this.#unfollow = () => {
      deafen();
      session.reads.unsubscribe(uri);
    };
    void session.ended.then(() => this.#goOn());
    if (this.#life.signal.aborted) this.#unfollow();
  }

  /** H1. What changed in between was seen by nobody; whoever is told reads it anew. */
  async #goOn(): Promise<void> {
    if (this.#life.signal.aborted) return;
    const { uri, open, notify, onEnd } = this.#parts;
    this.#unfollow = () => undefined;
    const { signal } = this.#life;
    try {
      const session = await open(signal);
      await session.reads.follow(uri, signal);
      this.#follow(session);
    } catch {
      if (signal.aborted) return;
      this.stop();
      onEnd();
    }
    notify(uri);
  }
}
