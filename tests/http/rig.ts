// One HTTP server on loopback over a fake runtime, with tokens that a test makes and revokes; real clients of all three
// kinds, and bare sockets for what no client would send.
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import type { Socket } from 'node:net';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { onTestFinished } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { HTTP_DEFAULTS } from '../http-defaults.ts';
import type { HttpSettings } from '../../src/config/types.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import { createTokenIndex, serveRuntimeHttp } from '../../src/server/index.ts';
import type { HttpServer, ServeHttpInput, TokenEntry, TokenVerifier } from '../../src/server/index.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { tokenEntry } from './token-entry.ts';
import { connectTo } from '../server/clients.ts';
import type { AnyClient, ClientKind, ClientSetup } from '../server/clients.ts';
import { FakeRuntime } from '../server/fake-runtime.ts';

export const ALICE_TOKEN = 'alice-0123456789abcdefghijklmnop';
export const BOB_TOKEN = 'bob-0123456789abcdefghijklmnopqr';

function caller(tenant: string, principal: string): Caller {
  return { tenant, principal, actor: `http:${principal}`, roles: [], scopes: [], lane: 'default' };
}

export const ALICE: Caller = caller('acme', 'alice');
export const BOB: Caller = caller('acme', 'bob');

export const entry: typeof tokenEntry = tokenEntry;

export interface Tokens extends TokenVerifier {
  entries: TokenEntry[];
}

export function tokens(now: () => number, entries: TokenEntry[]): Tokens {
  const index = (): ReturnType<typeof createTokenIndex> =>
    createTokenIndex(made.entries, new Uint8Array(32).fill(3), now);
  const made: Tokens = {
    entries,
    refresh: () => Promise.resolve(),
    verify: (token) => index().find(token),
    holds: (id) => index().holds(id),
    any: () => made.entries.length > 0,
  };
  return made;
}

export interface Setup extends Partial<Omit<ServeHttpInput, 'settings' | 'runtime'>> {
  runtime?: FakeRuntime;
  settings?: Partial<HttpSettings>;
}

export interface Serving {
  server: HttpServer;
  runtime: FakeRuntime;
  clock: FakeClock;
  tokens: Tokens;
  port: number;
  url: string;
  logged: { level: string; message: string; details: unknown }[];
}

export async function serve(setup: Setup = {}): Promise<Serving> {
  const { settings, ...over } = setup;
  const runtime = over.runtime ?? new FakeRuntime();
  const clock = createFakeClock();
  const logged: Serving['logged'] = [];
  const made = tokens(
    () => clock.now(),
    [entry('tok_alice', ALICE_TOKEN, ALICE), entry('tok_bob', BOB_TOKEN, BOB)],
  );
  const server = await serveRuntimeHttp({
    options: { tools: 'all', toolNames: 'auto', version: '1.2.3', graceMs: 1000 },
    clock,
    ids: randomIds,
    log: (level, message, details) => logged.push({ level, message, details }),
    tokens: made,
    stateKeys: { current: new Uint8Array(32).fill(7) },
    host: '127.0.0.1',
    port: 0,
    path: '/mcp',
    ...over,
    runtime,
    settings: { ...HTTP_DEFAULTS, ...settings },
  });
  onTestFinished(async () => {
    const state = { isClosed: false };
    void server.close().then(() => (state.isClosed = true));
    // Each grace in turn, without waiting for any.
    await until(() => {
      clock.advance(60_000);
      return state.isClosed;
    });
  });
  const { port } = new URL(server.url);
  return {
    server,
    runtime,
    clock,
    tokens: made,
    port: Number(port),
    url: server.url,
    logged,
  };
}

export interface HttpClientSetup extends ClientSetup {
  token?: string;
  fetch?: typeof fetch;
}

/** Turns of the event loop until it is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

/** A client of this kind that calls with this token. */
export async function client(
  kind: ClientKind,
  at: Pick<Serving, 'url'>,
  setup: HttpClientSetup = {},
): Promise<AnyClient & { sessionId: () => string | undefined }> {
  const { token = ALICE_TOKEN, fetch: own, ...rest } = setup;
  const options = {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    ...(own === undefined ? {} : { fetch: own }),
  };
  const url = new URL(at.url);
  const transport =
    kind === 'v1' ? new V1Transport(url, options) : new StreamableHTTPClientTransport(url, options);
  const made = await connectTo(kind, transport, rest);
  onTestFinished(() => made.close().catch(() => undefined));
  return { ...made, sessionId: () => transport.sessionId };
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** As a JSON value; of a stream, its last message. */
  body: {
    result?: Record<string, unknown>;
    error?: { code: number; message: string };
    id?: unknown;
  };
  text: string;
}

export interface Ask {
  method?: string;
  path?: string;
  token?: string | undefined;
  /** On top of what a client sends; undefined takes one out. */
  headers?: Record<string, string | undefined>;
  /** Text and bytes as they are, anything else as JSON. */
  body?: unknown;
  sessionId?: string;
}

const JSON_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
};

function bytesOf(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (body instanceof Uint8Array) return new Uint8Array(body);
  return typeof body === 'string' ? body : JSON.stringify(body);
}

export async function ask(at: Pick<Serving, 'url'>, what: Ask = {}): Promise<Answer> {
  const { method = 'POST', token = ALICE_TOKEN, body } = what;
  const all: Record<string, string | undefined> = {
    ...(method === 'POST' ? JSON_HEADERS : { accept: 'text/event-stream' }),
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    ...(what.sessionId === undefined ? {} : { 'mcp-session-id': what.sessionId }),
    ...what.headers,
  };
  const headers = Object.entries(all).filter((one): one is [string, string] => one[1] !== undefined);
  const url = new URL(at.url);
  if (what.path !== undefined) url.pathname = what.path;
  const response = await fetch(url, {
    method,
    headers,
    ...(body === undefined ? {} : { body: bytesOf(body) }),
  });
  const text = await response.text();
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  const json = isStream ? (text.match(/^data: (.+)$/gm)?.at(-1) ?? 'data: {}').slice(6) : text || '{}';
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: JSON.parse(json) as Answer['body'],
    text,
  };
}

export function initialize(capabilities: object = {}): object {
  const clientInfo = { name: 'raw', version: '1' };
  return {
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities, clientInfo },
  };
}

export function request(method: string, params: object = {}, id: number | string = 1): object {
  return { jsonrpc: '2.0', id, method, params };
}

/** A request of the modern era, with the headers that it needs. */
export function modern(method: string, params: Record<string, unknown> = {}): Pick<Ask, 'headers' | 'body'> {
  const name = params.name ?? params.uri;
  return {
    headers: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
    },
    body: request(method, {
      ...params,
      _meta: {
        ...(params._meta as object | undefined),
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
      },
    }),
  };
}

/** Opens a session of the older era by hand; its id. */
export async function openSession(at: Pick<Serving, 'url'>, token?: string): Promise<string> {
  const opened = await ask(at, { body: initialize(), ...(token === undefined ? {} : { token }) });
  const id = opened.headers['mcp-session-id'];
  if (id === undefined) throw new Error(`no session: ${opened.status} ${opened.text}`);
  return id;
}

export interface RawSocket {
  socket: Socket;
  write(text: string): void;
  /** All that came until the other side ended it. */
  rest: Promise<string>;
  /** Resolves when this stands in what came. */
  until(text: string): Promise<string>;
}

export async function raw(port: number): Promise<RawSocket> {
  const socket = connectSocket({ host: '127.0.0.1', port });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  let held = '';
  const waiting = new Set<() => void>();
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    held += text;
    for (const look of waiting) look();
  });
  socket.on('error', () => undefined);
  return {
    socket,
    write: (text) => void socket.write(text),
    rest: once(socket, 'close').then(() => held),
    until: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!held.includes(text)) return;
          waiting.delete(look);
          resolve(held);
        };
        waiting.add(look);
        look();
      }),
  };
}

/** The head of a request, for bare sockets. */
export function head(port: number, more: readonly string[] = [], first = 'POST /mcp HTTP/1.1'): string {
  return [first, `Host: 127.0.0.1:${port}`, ...more, '', ''].join('\r\n');
}

export const AUTH: string = `Authorization: Bearer ${ALICE_TOKEN}`;
