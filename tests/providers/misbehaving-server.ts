// A real HTTP server on the loopback that answers from a list, well or badly, and remembers what it was sent.
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A reply of a fixture file or of a test. `stream` is raw text; `hang` stops before anything or after the body. */
export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
  stream?: string;
  end?: 'clean' | 'reset' | 'hang';
  /** Never answers at all. */
  silent?: boolean;
  /** Sends this many bytes of filler. */
  flood?: number;
  /** Computes the reply from what came. */
  from?: (received: Received) => Reply;
}

export interface Received {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

export interface MisbehavingServer {
  origin: string;
  received: Received[];
  /** Bytes of filler handed to the socket. */
  flooded: () => number;
  /** Resolves when request number `count`, from 1, has come. */
  arrival: (count: number) => Promise<void>;
  /** Resolves when the other side has closed a connection. */
  hangup: Promise<void>;
  close: () => Promise<void>;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function flood(response: ServerResponse, bytes: number, note: (sent: number) => void): void {
  const filler = Buffer.alloc(64 * 1024, 0x20);
  let left = bytes;
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= filler.length;
      note(filler.length);
      if (!response.write(filler)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

function send(response: ServerResponse, reply: Reply, note: (sent: number) => void): void {
  if (reply.silent === true) return;
  const isStream = reply.stream !== undefined;
  const type = isStream ? 'text/event-stream' : 'application/json';
  response.writeHead(reply.status ?? 200, { 'content-type': type, ...reply.headers });
  if (reply.flood !== undefined) {
    flood(response, reply.flood, note);
    return;
  }
  const text =
    reply.stream ?? (typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {}));
  if (reply.end === 'hang') response.write(text);
  else if (reply.end === 'reset') response.write(text, () => response.destroy());
  else response.end(text);
}

/** Answers request n with reply n, and every later one with the last. */
export async function startServer(replies: Reply[]): Promise<MisbehavingServer> {
  const received: Received[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let flooded = 0;
  let hungUp = (): void => undefined;
  const hangup = new Promise<void>((resolve) => {
    hungUp = resolve;
  });
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.on('close', hungUp);
    const one = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: await readBody(request),
    };
    received.push(one);
    for (const wait of waiting) if (received.length >= wait.count) wait.resolve();
    const reply = replies[Math.min(received.length, replies.length) - 1] ?? { status: 404 };
    send(response, reply.from?.(one) ?? reply, (sent) => {
      flooded += sent;
    });
  };
  const server = createServer((request, response) => {
    void handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    flooded: () => flooded,
    arrival: (count) =>
      new Promise((resolve) => {
        if (received.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    hangup,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
