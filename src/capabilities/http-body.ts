// Owns the bounds on what a server sends over HTTP: the size of one message and the rate of messages, judged as the bytes
// come, before anything is parsed. What a message may hold is judged with them.
import type { Clock } from '../base/clock.ts';
import { MessageScan } from './message-text.ts';

export interface BodyBounds {
  maxBytes: number;
  clock: Clock;
  /** Told once; the body then ends with an error. */
  onBreach: (why: string) => void;
  /** Told once when the body breaks off and the server gave no event ids, by which the rest could be had. */
  onCut: () => void;
  /** Told when nothing more of it is read. */
  onOver: () => void;
}

const MAX_EVENTS_PER_SECOND = 5000;
const WINDOW_MS = 1000;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const ID_FIELD = [0x69, 0x64, 0x3a];

class Meter {
  isResumable = false;
  readonly #bounds: BodyBounds;
  readonly #isStream: boolean;
  #held = 0;
  /** What the line at hand is so far; only an empty one, with or without its return, ends an event. */
  #line: 'empty' | 'return' | 'text' = 'text';
  #events = 0;
  #since: number;

  constructor(bounds: BodyBounds, isStream: boolean) {
    this.#bounds = bounds;
    this.#isStream = isStream;
    this.#since = bounds.clock.monotonic();
  }

  /** Why the chunk is too much, if it is. */
  take(chunk: Uint8Array): string | undefined {
    if (!this.#isStream) {
      this.#held += chunk.length;
    } else {
      let from = 0;
      if (this.#held === 0) this.#beginLine(chunk, 0);
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) {
        this.#held += at - from + 1;
        this.#grow(chunk, from, at);
        if (this.#line !== 'text') this.#event();
        if (this.#held > this.#bounds.maxBytes) break;
        this.#line = 'empty';
        from = at + 1;
        this.#beginLine(chunk, from);
      }
      this.#held += chunk.length - from;
      this.#grow(chunk, from, chunk.length);
    }
    if (this.#held > this.#bounds.maxBytes)
      return `sent a message of more than ${this.#bounds.maxBytes} bytes`;
    return this.#events > MAX_EVENTS_PER_SECOND
      ? `sent more than ${MAX_EVENTS_PER_SECOND} messages a second`
      : undefined;
  }

  #grow(chunk: Uint8Array, from: number, to: number): void {
    if (from === to) return;
    this.#line = this.#line === 'empty' && to - from === 1 && chunk[from] === RETURN ? 'return' : 'text';
  }

  /** One that is split between chunks is not seen: the connection ends then where it might have gone on. */
  #beginLine(chunk: Uint8Array, at: number): void {
    this.isResumable ||= ID_FIELD.every((byte, offset) => chunk[at + offset] === byte);
  }

  #event(): void {
    const now = this.#bounds.clock.monotonic();
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now;
      this.#events = 0;
    }
    this.#events++;
    this.#held = 0;
  }
}

/** What a body is to whoever reads it: the answer to a GET is a stream whatever its type, and of another type it is nothing. */
function kindOf({ headers }: Response, method: string): 'stream' | 'message' | 'nothing' {
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (method === 'GET' || type === 'text/event-stream') return 'stream';
  return type === 'application/json' ? 'message' : 'nothing';
}

/** The same bytes, ended where a bound is broken. */
export function guardedBody(
  response: Response,
  method: string,
  bounds: BodyBounds,
): ReadableStream<Uint8Array> | null {
  const { body } = response;
  if (body === null) return null;
  const kind = kindOf(response, method);
  const meter = new Meter(bounds, kind === 'stream');
  const scan = kind === 'nothing' ? undefined : new MessageScan(kind === 'stream', bounds.maxBytes);
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await reader.read().catch((thrown: unknown) => {
        bounds.onOver();
        if (!meter.isResumable) bounds.onCut();
        controller.error(thrown);
        return undefined;
      });
      if (next === undefined) return;
      const why = next.done ? scan?.end() : (meter.take(next.value) ?? scan?.take(next.value));
      if (why === undefined && !next.done) {
        controller.enqueue(next.value);
        return;
      }
      bounds.onOver();
      if (why === undefined) {
        controller.close();
        return;
      }
      bounds.onBreach(why);
      controller.error(new Error(why));
      await reader.cancel().catch(() => undefined);
    },
    cancel: (reason) => {
      bounds.onOver();
      return reader.cancel(reason);
    },
  });
}

/** The first bytes of a body as text; the rest is not read. */
export async function textOf({ body }: Response, maxBytes: number): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of body as ReadableStream<Uint8Array>) {
    chunks.push(chunk);
    held += chunk.length;
    if (held >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}
