// Owns a raw HTTP server that speaks just enough of the protocol to abuse it, in one way at a time, for tests.
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { DownstreamServer } from '../../src/config/types.ts';
import { server } from './fixtures.ts';

interface Message {
  id?: number | string;
  method?: string;
  params?: { cursor?: string; protocolVersion?: string; _meta?: { progressToken?: unknown } };
}

type Abuse = (response: ServerResponse, message: Message) => void;

export interface HostileHttp {
  server(over?: Partial<DownstreamServer>): DownstreamServer;
  /** How often each HTTP method was asked for. */
  seen: Record<string, number>;
  /** The paths of requests that followed where they were sent. */
  strayed: string[];
  close(): Promise<void>;
}

const SESSION = { 'mcp-session-id': 'hostile-session' };

function json(response: ServerResponse, message: object): void {
  response.writeHead(200, { 'content-type': 'application/json', ...SESSION });
  response.end(JSON.stringify({ jsonrpc: '2.0', ...message }));
}

function stream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', ...SESSION });
}

function event(message: object): string {
  return `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
}

/** Writes as fast as it is read, until nobody reads. */
function endlessly(response: ServerResponse, text: (at: number) => string): void {
  let at = 0;
  const more = (): void => {
    for (let room = true; room && !response.destroyed;) room = response.write(text(at++));
  };
  response.on('drain', more);
  more();
}

const done = { content: [{ type: 'text', text: 'done' }] };
const BLOCK = 'x'.repeat(64 * 1024);

/** Which of the two was meant is for each reader to guess. */
function doubled(id: Message['id']): [string, string] {
  return [
    `{"jsonrpc":"2.0","id":${id ?? 0},"result":{"content":[],`,
    '"content":[{"type":"text","text":"other"}]}}',
  ];
}

/** What is done to a call. */
export const CALL_ABUSES: Record<string, Abuse> = {
  'garbage-body': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...SESSION });
    response.end('<html>not a message</html>');
  },
  'page-body': (response) => {
    response.writeHead(200, { 'content-type': 'text/html', ...SESSION });
    response.end('<html><script>{"a":1,"a":2}</script></html>');
  },
  'endless-garbage': (response) => {
    stream(response);
    endlessly(response, () => 'data: not a message\n\n');
  },
  'half-event': (response, { id }) => {
    stream(response);
    response.write(`event: message\ndata: {"jsonrpc":"2.0","id":${id ?? 0},"resul`, () => response.destroy());
  },
  'short-body': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000, ...SESSION });
    response.write('{"jsonrpc":"2.0",', () => response.destroy());
  },
  'endless-body': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...SESSION });
    response.write('{"jsonrpc":"2.0","result":"');
    endlessly(response, () => BLOCK);
  },
  'endless-event': (response) => {
    stream(response);
    response.write('data: {"jsonrpc":"2.0","result":"');
    endlessly(response, () => BLOCK);
  },
  'packed-body': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip', ...SESSION });
    response.end(gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20)));
  },
  'endless-error': (response) => {
    response.writeHead(400, { 'content-type': 'text/plain', ...SESSION });
    endlessly(response, () => BLOCK);
  },
  'bad-argument': (response) => {
    response
      .writeHead(400, { 'content-type': 'text/plain', ...SESSION })
      .end('session_name: too long for a session');
  },
  'progress-flood': (response, { params }) => {
    stream(response);
    const progressToken = params?._meta?.progressToken;
    endlessly(response, (at) =>
      event({ method: 'notifications/progress', params: { progressToken, progress: at } }),
    );
  },
  strays: (response) => {
    stream(response);
    endlessly(response, (at) => event({ id: 1_000_000 + at, result: done }));
  },
  deep: (response, { id }) => {
    const nest = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    response.writeHead(200, { 'content-type': 'application/json', ...SESSION });
    response.end(
      `{"jsonrpc":"2.0","id":${id ?? 0},"result":{"content":[],"structuredContent":{"a":${nest}}}}`,
    );
  },
  'doubled-key': (response, { id }) => {
    response.writeHead(200, { 'content-type': 'application/json', ...SESSION });
    response.end(doubled(id).join(''));
  },
  'doubled-key-event': (response, { id }) => {
    stream(response);
    const [first, second] = doubled(id);
    response.write(`event: message\r\ndata: ${first}\r`);
    response.end(`\ndata:${second}\r\n\r\n`);
  },
  'repeated-id': (response, { id }) => {
    stream(response);
    for (const text of ['first', 'second']) {
      response.write(event({ id: id ?? 0, result: { content: [{ type: 'text', text }] } }));
    }
    response.end();
  },
  silent: (response) => {
    stream(response);
    response.flushHeaders();
  },
  redirect: (response) => {
    response.writeHead(307, { location: '/elsewhere' }).end();
  },
};

const LIST_ABUSES: Record<string, Abuse> = {
  'endless-cursor': (response, { id, params }) => {
    const at = Number(params?.cursor ?? '0');
    json(response, { id: id ?? 0, result: { tools: [tool(`t${at}`)], nextCursor: String(at + 1) } });
  },
  'endless-list': CALL_ABUSES['endless-body'] as Abuse,
};

function tool(name: string): object {
  return { name, description: 'A tool.', inputSchema: { type: 'object' } };
}

async function bodyOf(request: IncomingMessage): Promise<Message> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Message;
}

function answer(how: string, message: Message, response: ServerResponse): void {
  const { id, method, params } = message;
  if (id === undefined) {
    response.writeHead(202, SESSION).end();
  } else if (method === 'initialize') {
    json(response, {
      id,
      result: {
        protocolVersion: params?.protocolVersion ?? '2025-11-25',
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'hostile', version: '0' },
      },
    });
  } else if (method === 'tools/list') {
    const abuse = LIST_ABUSES[how];
    if (abuse === undefined) json(response, { id, result: { tools: [tool('run')] } });
    else abuse(response, message);
  } else if (method === 'tools/call' && CALL_ABUSES[how] !== undefined) {
    CALL_ABUSES[how](response, message);
  } else if (method === 'tools/call') json(response, { id, result: done });
  else json(response, { id, error: { code: -32601, message: 'Method not found' } });
}

/**
 * `how` is a way to abuse calls or lists, or `hang-up`: ends each stream for its own messages at once, or `untyped-stream`:
 * sends there, under another type, what is refused, or `no-stream`: knows no such method at all.
 */
export async function hostileHttp(how: string): Promise<HostileHttp> {
  const seen: Record<string, number> = {};
  const strayed: string[] = [];
  const listener = createServer((request, response) => {
    const method = request.method ?? '';
    seen[method] = (seen[method] ?? 0) + 1;
    response.on('error', () => undefined);
    if (request.url !== '/mcp') strayed.push(request.url ?? '');
    if (method === 'POST') {
      void bodyOf(request).then((message) => answer(how, message, response));
    } else if (method === 'GET' && how === 'hang-up') {
      stream(response);
      response.end('retry: 1\nid: 1\n\n');
    } else if (method === 'GET' && how === 'untyped-stream') {
      response.writeHead(200, { 'content-type': 'text/plain', ...SESSION });
      response.write(`data: ${doubled(0).join('')}\n\n`);
    } else response.writeHead(how === 'no-stream' ? 404 : 405).end();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    seen,
    strayed,
    server: (over = {}) => {
      const { command: _, ...rest } = server('hostile', [], over);
      return { ...rest, transport: 'http', url: `http://127.0.0.1:${port}/mcp` };
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        listener.closeAllConnections();
      }),
  };
}
