// Owns the two pipes of a stdio connection: guarded lines in, JSON-RPC and nothing else out, and when the client is gone.
// Every stop of the input (end, error, a reader that left) is the same event: `ended`.
import type { Readable, Writable } from 'node:stream';
import type { JSONRPCMessage, RequestId, Transport } from '@modelcontextprotocol/server';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { LineEvent, LineGuard } from './line-guard.ts';

export class StdioPipes implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  /** Resolves when no further message can come in. */
  readonly ended: Promise<void>;
  readonly #stdin: Readable;
  readonly #stdout: Writable;
  readonly #guard: LineGuard;
  readonly #onRefused: (event: LineEvent & { kind: 'refused' }) => void;
  /** Requests of the client without an answer yet, with their methods. */
  readonly #open = new Map<RequestId, string>();
  #whenOpenChanges: (() => void)[] = [];
  #end: () => void = () => undefined;
  #closed = false;

  constructor(
    pipes: { stdin: Readable; stdout: Writable },
    guard: LineGuard,
    onRefused: (event: LineEvent & { kind: 'refused' }) => void,
  ) {
    this.#stdin = pipes.stdin;
    this.#stdout = pipes.stdout;
    this.#guard = guard;
    this.#onRefused = onRefused;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  start(): Promise<void> {
    this.#stdin.on('data', this.#read);
    for (const event of ['end', 'close'] as const) this.#stdin.on(event, this.#end);
    this.#stdin.on('error', this.#fail);
    this.#stdout.on('error', this.#fail);
    return Promise.resolve();
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.reject(new RuntimeError('CANCELED', 'The connection is closed.'));
    if (!('method' in message) && message.id !== undefined) this.#settle(message.id);
    return this.#write(message);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stdin.off('data', this.#read);
    this.#stdin.pause();
    this.#end();
    this.onclose?.();
  }

  /** Resolves once no request but those of `methods` waits for an answer. */
  async answeredAllBut(methods: readonly string[]): Promise<void> {
    while ([...this.#open.values()].some((open) => !methods.includes(open))) {
      await new Promise<void>((resolve) => this.#whenOpenChanges.push(resolve));
    }
  }

  /** Resolves when everything written has left, or cannot leave any more. */
  async flushed(): Promise<void> {
    if (this.#stdout.destroyed || this.#stdout.writableEnded) return;
    await new Promise<void>((resolve) => this.#stdout.write('', () => resolve()));
  }

  readonly #read = (chunk: Buffer | string): void => {
    for (const event of this.#guard.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)) {
      if (event.kind === 'refused') this.#refuse(event);
      else this.#deliver(event.message);
    }
  };

  readonly #fail = (error: Error): void => {
    this.onerror?.(error);
    this.#end();
  };

  #deliver(message: JSONRPCMessage): void {
    if ('method' in message && 'id' in message) this.#open.set(message.id, message.method);
    // A cancelled request may stay without an answer.
    if ('method' in message && message.method === 'notifications/cancelled') {
      const id: unknown = isObject(message.params) ? message.params.requestId : undefined;
      if (typeof id === 'string' || typeof id === 'number') this.#settle(id);
    }
    this.onmessage?.(message);
  }

  #refuse(event: LineEvent & { kind: 'refused' }): void {
    this.#onRefused(event);
    const { id, code, message } = event;
    this.#write({ jsonrpc: '2.0', id, error: { code, message } }).catch((error: unknown) => {
      this.onerror?.(error as Error);
    });
  }

  #settle(id: RequestId): void {
    this.#open.delete(id);
    const waiting = this.#whenOpenChanges;
    this.#whenOpenChanges = [];
    for (const resolve of waiting) resolve();
  }

  /**
   * Replies of one turn of the event loop leave together: calls that shared a commit are answered at once. Never with a
   * notification: clients hand that on one turn later than a reply, and forget the call's progress with the reply.
   */
  #write(message: object): Promise<void> {
    const stdout = this.#stdout;
    if ('method' in message) {
      stdout.uncork();
    } else if (stdout.writableCorked === 0) {
      stdout.cork();
      process.nextTick(() => stdout.uncork());
    }
    return new Promise((resolve, reject) => {
      stdout.write(`${JSON.stringify(message)}\n`, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    });
  }
}
