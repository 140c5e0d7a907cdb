// Owns what the one client of a stdio connection is told about. The SDK answers its `subscriptions/listen` without asking
// us, so each is narrowed on its way in to what this caller may read.
//
// L1  Nothing is listened to before it was read as the caller, and nothing after the request was cancelled or refused, or
//     the client has gone.
import type { JSONRPCMessage, JSONRPCRequest, Transport } from '@modelcontextprotocol/server';
import { isJSONRPCRequest } from '@modelcontextprotocol/server';
import { isObject } from '../base/json.ts';
import { narrowed } from './listening.ts';
import type { Subscribed } from './subscribed.ts';

function cancelledBy(message: JSONRPCMessage): unknown {
  if (!('method' in message) || message.method !== 'notifications/cancelled') return undefined;
  return isObject(message.params) ? message.params.requestId : undefined;
}

// By the method first: few messages have to be looked at whole.
function isToListen(message: JSONRPCMessage): message is JSONRPCRequest {
  return 'method' in message && message.method === 'subscriptions/listen' && isJSONRPCRequest(message);
}

/** A transport between the pipes and the SDK. */
export class ListeningTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #inner: Transport;
  readonly #subscribed: Subscribed;
  /** Requests to listen that are open, with what ends them. */
  readonly #open = new Map<unknown, () => void>();

  constructor(inner: Transport, subscribed: Subscribed) {
    this.#inner = inner;
    this.#subscribed = subscribed;
  }

  async start(): Promise<void> {
    this.#inner.onclose = () => {
      this.#endAll();
      this.onclose?.();
    };
    this.#inner.onerror = (error) => this.onerror?.(error);
    this.#inner.onmessage = (message) => {
      if (isToListen(message)) void this.#listen(message);
      else this.#pass(message);
    };
    await this.#inner.start();
  }

  send(message: JSONRPCMessage): Promise<void> {
    // An answer to a request to listen is its end.
    if (!('method' in message)) this.#end(message.id);
    return this.#inner.send(message);
  }

  close(): Promise<void> {
    this.#endAll();
    return this.#inner.close();
  }

  #pass(message: JSONRPCMessage): void {
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) this.#end(cancelled);
    this.onmessage?.(message);
  }

  #end(id: unknown): void {
    this.#open.get(id)?.();
    this.#open.delete(id);
  }

  #endAll(): void {
    for (const id of [...this.#open.keys()]) this.#end(id);
  }

  async #listen(message: JSONRPCRequest): Promise<void> {
    const { id } = message;
    // The same id again is the SDK's to refuse.
    if (this.#open.has(id)) {
      this.onmessage?.(message);
      return;
    }
    // Its own: an id that was cancelled may be used again while this one is still read.
    const reading = (): void => undefined;
    const isOver = (): boolean => this.#open.get(id) !== reading;
    this.#open.set(id, reading);
    const listening = await narrowed(message, this.#subscribed, isOver);
    if (isOver()) {
      listening.end(); // L1
      return;
    }
    this.#open.set(id, () => listening.end());
    this.onmessage?.(listening.message);
  }
}
