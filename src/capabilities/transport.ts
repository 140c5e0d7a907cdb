// Owns the bytes between us and one child: newline-delimited JSON-RPC over its pipes, bounded in line length, nesting,
// garbage and rate. What breaks a bound ends the connection; the calls in flight then fail, and only they.
//
// T1: nothing is handed to the protocol layer that was not read whole, within the bounds and without duplicate keys.
// T2: `fault` says why the connection ended, and is set before `onclose` is called.
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { Confinement } from '../kernel/sandbox/confine.ts';
import type { Link } from './link.ts';
import { messageFault } from './message-text.ts';
import type { Exit, SpawnedProcess } from '../kernel/sandbox/contract.ts';

export interface TransportLimits {
  maxMessageBytes: number;
}

// A banner that a package manager prints is forgiven; a program that never answers in the protocol is not.
const MAX_GARBAGE_LINES = 20;
// Requests, notifications, replies to nothing and, of a server that has answered before, lines that are no messages, in a
// second; other replies are bounded by our own requests.
const MAX_UNASKED_PER_SECOND = 5000;
const WINDOW_MS = 1000;
const NEWLINE = 0x0a;
const AT_ONCE: Promise<void> = Promise.resolve();

/** What the executor needs to know of a failed send: nothing of it reached the child. */
export const NOT_SENT = 'not_sent';
/** Marks a failure by which a session is lost, and of which it is certain that nothing ran. */
export const SESSION_GONE = 'session_gone';

function exitText(exit: Exit): string {
  return exit.signal === null ? `with code ${exit.code ?? 'unknown'}` : `by ${exit.signal}`;
}

export class StdioTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: Transport['onmessage'];
  /** With `stderr` the mark by which the SDK knows a child process, whose silence means an old protocol. */
  readonly pid: number;
  readonly stderr = null;
  readonly confinement: Confinement;
  fault: RuntimeError | undefined;
  /** Resolves with `fault` once the child is gone. */
  readonly ended: Promise<RuntimeError>;
  /** Lines that were not JSON-RPC and were skipped. */
  garbage = 0;

  #resolveEnded: (fault: RuntimeError) => void = () => undefined;
  readonly #child: SpawnedProcess;
  readonly #label: string;
  readonly #limits: TransportLimits;
  readonly #clock: Clock;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #unasked = 0;
  #isHandingOn = false;
  #hasAnswered = false;
  // Requests of ours that no reply has come to yet.
  readonly #open = new Set<unknown>();
  #windowStart: number;
  #started = false;
  #isClosing = false;
  #isClosed = false;
  readonly #onWritten = (error: Error | null | undefined): void => {
    if (error instanceof Error) this.onerror?.(error);
  };

  constructor(child: SpawnedProcess, label: string, limits: TransportLimits, clock: Clock) {
    this.pid = child.pid;
    this.confinement = child.confinement;
    this.#child = child;
    this.#label = label;
    this.#limits = limits;
    this.#clock = clock;
    this.#windowStart = clock.monotonic();
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  async start(): Promise<void> {
    if (this.#started) throw new RuntimeError('INTERNAL', 'the transport was started twice');
    this.#started = true;
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
    this.#child.stdout.on('error', (error) => this.onerror?.(error));
    void this.#child.exited.then((exit) => {
      this.#ended(exit);
    });
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const line = `${JSON.stringify(message)}\n`;
    const { stdin } = this.#child;
    if (this.fault !== undefined || this.#isClosing || !stdin.writable) {
      this.#refuse('the connection has ended');
    }
    const bytes = Buffer.byteLength(line);
    if (bytes > this.#limits.maxMessageBytes)
      this.#refuse(`the message has ${bytes} bytes, too many to send`);
    // A child that does not read would otherwise fill our memory.
    if (stdin.writableLength + bytes > 2 * this.#limits.maxMessageBytes) {
      this.#refuse('it does not read its input');
    }
    if ('method' in message && 'id' in message) this.#open.add(message.id);
    // Requests of one turn of the event loop leave together.
    if (stdin.writableCorked === 0) {
      stdin.cork();
      process.nextTick(() => stdin.uncork());
    }
    stdin.write(line, this.#onWritten);
  }

  /** Ends the child and waits until it is gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#ended(await this.#child.kill());
  }

  /** Ends the child without any grace: for a start that failed. */
  async destroy(): Promise<void> {
    this.#isClosing = true;
    this.#child.killNow();
    this.#ended(await this.#child.exited);
  }

  /** Nothing of the message was written. */
  #refuse(why: string): never {
    throw new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', `${this.#label}: ${why}`, { [NOT_SENT]: true });
  }

  #fail(why: string): void {
    if (this.fault !== undefined || this.#isClosing) return;
    this.fault = new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', `${this.#label} ${why}`, {
      server: this.#label,
    });
    this.#held = [];
    this.#heldBytes = 0;
    // At once: whoever breaks a bound on purpose gets no time to go on.
    this.#child.killNow();
    this.onerror?.(this.fault);
  }

  #ended(exit: Exit): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.fault ??= this.#isClosing
      ? new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', `the connection to ${this.#label} was closed`)
      : new RuntimeError(
          exit.code === 0 ? 'SUBPROCESS_TRANSPORT_FAILED' : 'SUBPROCESS_EXIT_NONZERO',
          `the process of ${this.#label} ended ${exitText(exit)}`,
          { server: this.#label },
        );
    this.onclose?.();
    this.#resolveEnded(this.fault);
  }

  #take(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      if (!this.#fits(at - from)) return;
      this.#read(this.#line(chunk, from, at));
      from = at + 1;
    }
    if (this.#fits(chunk.length - from)) this.#hold(chunk.subarray(from));
  }

  /** Whether a line may go on for so many bytes. */
  #fits(bytes: number): boolean {
    if (this.fault !== undefined) return false;
    if (this.#heldBytes + bytes <= this.#limits.maxMessageBytes) return true;
    this.#fail(`sent a message of more than ${this.#limits.maxMessageBytes} bytes`);
    return false;
  }

  #hold(part: Buffer): void {
    if (part.length === 0) return;
    this.#held.push(part);
    this.#heldBytes += part.length;
  }

  /** What is held and the chunk's part; most lines come in one chunk. */
  #line(chunk: Buffer, from: number, to: number): string {
    if (this.#held.length === 0) return chunk.toString('utf8', from, to);
    this.#hold(chunk.subarray(from, to));
    const line = Buffer.concat(this.#held).toString('utf8');
    this.#held = [];
    this.#heldBytes = 0;
    return line;
  }

  #read(line: string): void {
    if (line.trim() === '') return;
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      this.#skip();
      return;
    }
    if (!isObject(message) || message['jsonrpc'] !== '2.0') {
      this.#skip();
      return;
    }
    const fault = messageFault(line);
    if (fault !== undefined) {
      this.#fail(fault);
      return;
    }
    if (typeof message['method'] === 'string') {
      if (this.#isFlood()) return;
      void this.#untilHandedOn();
      this.onmessage?.(message as JSONRPCMessage);
      return;
    }
    if (this.#open.delete(message['id'])) this.#hasAnswered = true;
    else if (this.#isFlood()) return;
    if (this.#isHandingOn) void this.#replyLater(message as JSONRPCMessage);
    else this.onmessage?.(message as JSONRPCMessage);
  }

  async #untilHandedOn(): Promise<void> {
    this.#isHandingOn = true;
    await AT_ONCE;
    await AT_ONCE;
    this.#isHandingOn = false;
  }

  /**
   * The SDK hands a notification on one turn later but a reply at once, and forgets the call's progress with it: a reply
   * is held back for as long, or the last progress of a call would be lost.
   */
  async #replyLater(message: JSONRPCMessage): Promise<void> {
    await AT_ONCE;
    await AT_ONCE;
    this.onmessage?.(message);
  }

  #skip(): void {
    this.garbage++;
    if (this.#hasAnswered) {
      this.#isFlood();
    } else if (this.garbage > MAX_GARBAGE_LINES) {
      this.#fail(`wrote more than ${MAX_GARBAGE_LINES} lines that are no messages, and has not answered yet`);
    }
  }

  #isFlood(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now;
      this.#unasked = 0;
    }
    this.#unasked++;
    if (this.#unasked <= MAX_UNASKED_PER_SECOND) return false;
    this.#fail(`sent more than ${MAX_UNASKED_PER_SECOND} unasked lines a second`);
    return true;
  }
}

/** The way over a child's pipes. */
export function stdioLink(transport: StdioTransport): Link {
  return {
    transport,
    pid: transport.pid,
    confinement: transport.confinement,
    fault: () => transport.fault,
    loss: () => (transport.fault === undefined ? undefined : 'child_ended'),
    ended: transport.ended,
    garbage: () => transport.garbage,
    close: () => transport.close(),
    destroy: () => transport.destroy(),
  };
}
