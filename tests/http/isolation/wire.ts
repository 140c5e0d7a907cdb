// Owns what one principal sends and receives: single requests of both eras, and streams that stay open. Everything that
// comes back goes through the witness before anybody else reads it.
import { Agent, request as httpRequest } from 'node:http';
import type { Witness, Who } from './witness.ts';
import type { World } from './world.ts';

export interface Reply {
  status: number;
  sessionId: string | undefined;
  /** The last message of the answer. */
  result: Record<string, unknown> | undefined;
  error: { code: number; message: string } | undefined;
  text: string;
}

export interface Sent {
  method?: 'POST' | 'GET' | 'DELETE';
  headers?: Record<string, string>;
  body?: object;
}

export interface Wire {
  readonly who: Who;
  send(sent: Sent): Promise<Reply>;
  modern(method: string, params?: Record<string, unknown>): Promise<Reply>;
  legacy(sessionId: string, method: string, params?: object): Promise<Reply>;
  /** Stays open until the returned function is called; `took` counts what came with this text. */
  stream(sent: Sent, counting: string): Promise<{ text: () => string; took: () => number; end: () => void }>;
}

const ACCEPT = 'application/json, text/event-stream';
const VERSION = '2026-07-28';

function lastMessage(text: string, isStream: boolean): Pick<Reply, 'result' | 'error'> {
  const json = isStream
    ? (text
        .match(/^data: (.+)$/gm)
        ?.at(-1)
        ?.slice(6) ?? '{}')
    : text || '{}';
  const { result, error } = JSON.parse(json) as Partial<Pick<Reply, 'result' | 'error'>>;
  return { result, error };
}

export function createWire(world: World, who: Who, witness: Witness): Wire {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { port, pathname: path } = new URL(world.server.url);
  const common = { authorization: `Bearer ${world.token[who]}`, accept: ACCEPT };
  let ids = 0;

  function open(sent: Sent): ReturnType<typeof httpRequest> {
    const { method = 'POST', headers = {}, body } = sent;
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const all = { ...common, ...type, ...headers };
    const made = httpRequest({ agent, host: '127.0.0.1', port, path, method, headers: all });
    made.end(body === undefined ? undefined : JSON.stringify(body));
    return made;
  }

  function send(sent: Sent): Promise<Reply> {
    return new Promise((resolve, reject) => {
      open(sent)
        .on('error', reject)
        .on('response', (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('error', reject).on('end', () => {
            const given = response.headers['mcp-session-id'];
            const sessionId = typeof given === 'string' ? given : undefined;
            const asked = JSON.stringify(sent.body ?? '');
            witness.saw(who, text, asked);
            const isStream = response.headers['content-type'] === 'text/event-stream';
            resolve({ status: response.statusCode ?? 0, sessionId, text, ...lastMessage(text, isStream) });
          });
        });
    });
  }

  function envelope(method: string, params: Record<string, unknown>): Sent {
    const name = params.name ?? params.uri ?? params.taskId;
    const { _meta: own, ...rest } = params;
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': VERSION,
      'io.modelcontextprotocol/clientInfo': { name: who, version: '1' },
      'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
      ...(own as object | undefined),
    };
    return {
      headers: {
        'mcp-protocol-version': VERSION,
        'mcp-method': method,
        ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      },
      body: { jsonrpc: '2.0', id: ++ids, method, params: { ...rest, _meta } },
    };
  }

  return {
    who,
    send,
    modern: (method, params = {}) => send(envelope(method, params)),
    legacy: (sessionId, method, params = {}) =>
      send({
        headers: { 'mcp-session-id': sessionId },
        body: { jsonrpc: '2.0', id: ++ids, method, params },
      }),
    stream: (sent, counting) =>
      new Promise((resolve, reject) => {
        const method = (sent.body as { method?: string } | undefined)?.method;
        const whole =
          method === undefined ? sent : envelope(method, (sent.body as { params: object }).params as never);
        const made = open(whole);
        let text = '';
        made.on('error', reject).on('response', (response) => {
          const live = {
            text: () => text,
            took: () => text.split(counting).length - 1,
            end: () => void made.destroy(),
          };
          // The first bytes say that it is open; a stream for a session says nothing at first.
          if (method === undefined) resolve(live);
          response.on('error', () => undefined);
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
            witness.saw(who, part);
            resolve(live);
          });
        });
      }),
  };
}
