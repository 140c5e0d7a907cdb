// Owns the way of one HTTP request: head, address, path, token, principal, body, era; each step either goes on or ends it
// with one refusal. Nothing about sessions, tools or principals is looked up before the token is good.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { classifyInboundRequest, isJSONRPCRequest } from '@modelcontextprotocol/server';
import type { JSONRPCMessage } from '@modelcontextprotocol/server';
import type { HttpSettings } from '../../config/types.ts';
import type { ServerParts } from '../connection.ts';
import type { StateKeys } from '../request-state.ts';
import { readBody } from './body.ts';
import { bearerToken } from './credentials.ts';
import type { Credential, TokenVerifier } from './credentials.ts';
import { answerPreflight, tellOrigin } from './cors.ts';
import { ALLOWED, isJson, isPreflight, judgeHead, refusal } from './guard.ts';
import type { GuardRules, Headers, Refusal } from './guard.ts';
import { createPrincipal, principalKey } from './principal.ts';
import type { Principal } from './principal.ts';
import { createRate } from './rate.ts';
import type { Rate } from './rate.ts';
import { refuse, send } from './reply.ts';
import type { Writing } from './reply.ts';
import { createSessions } from './sessions.ts';
import type { Session, Sessions } from './sessions.ts';
import { createTokenClient } from './token-client.ts';
import type { TokenClient } from './token-client.ts';
import { createUpdates } from '../updates.ts';
import type { Updates } from '../updates.ts';

export interface FrontParts extends Omit<ServerParts, 'caller'> {
  tokens: TokenVerifier;
  stateKeys: StateKeys;
  settings: HttpSettings;
}

/** What an operator may want to know; no names in it. */
export interface FrontCounts {
  requests: number;
  sessions: number;
  streams: number;
  subscriptions: number;
  updates: number;
  refused: number;
}

const REALM = 'Bearer realm="agent-runtime"';
const TOO_MANY_STREAMS = refusal(429, 'Too many streams: this principal has as many open as it may.', {
  'retry-after': '30',
});
const DRAINING = refusal(503, 'The server is stopping.', { 'retry-after': '5' });

function tooFast(seconds: number): Refusal {
  return refusal(429, `Too many requests; try again in ${seconds} s.`, { 'retry-after': String(seconds) });
}

function unauthorized(hasHeader: boolean): Refusal {
  const challenge = hasHeader ? `${REALM}, error="invalid_token"` : REALM;
  const message = hasHeader
    ? 'This Authorization holds no bearer token that is known here; it may have expired or been revoked.'
    : 'A bearer token is needed: send the header Authorization: Bearer <token>.';
  return refusal(401, message, { 'www-authenticate': challenge });
}

/** One request that may be served: whose it is, and the signal that ends with its client. */
interface Admitted {
  req: IncomingMessage;
  res: ServerResponse;
  headers: Headers;
  client: TokenClient;
}

export class HttpFront {
  readonly #parts: FrontParts;
  readonly #writing: Writing;
  readonly #clients = new Map<string, TokenClient>();
  readonly #principals = new Map<string, Principal>();
  readonly #sessions: Sessions;
  readonly #updates: Updates;
  readonly #byAddress: Rate;
  readonly #byPrincipal: Rate;
  readonly #refusals: Rate;
  #refused = 0;
  #isDraining = false;
  /** Requests that are being served, streams for updates not among them. */
  readonly #work = new Set<Promise<unknown>>();

  constructor(parts: FrontParts) {
    const { clock, ids, settings, log } = parts;
    this.#parts = parts;
    this.#writing = { clock, timeoutMs: settings.writeTimeoutMs };
    this.#updates = createUpdates(clock, settings.updateIntervalMs, log);
    this.#sessions = createSessions({
      clock,
      ids,
      updates: this.#updates,
      idleMs: settings.sessionIdleMs,
      most: settings.maxSessions,
    });
    const { requestsPerSecondPerAddress: address, requestsPerSecondPerPrincipal: principal } = settings;
    this.#byAddress = createRate(clock, address, 2 * address);
    this.#byPrincipal = createRate(clock, principal, 2 * principal);
    const refusals = settings.refusalsPerMinutePerAddress;
    this.#refusals = createRate(clock, refusals / 60, refusals);
  }

  get counts(): FrontCounts {
    return {
      requests: this.#open('requests'),
      sessions: this.#sessions.size,
      streams: this.#open('streams'),
      subscriptions: this.#updates.size,
      updates: this.#updates.delivered,
      refused: this.#refused,
    };
  }

  #open(what: 'requests' | 'streams'): number {
    return [...this.#principals.values()].reduce((sum, one) => sum + one.count(what), 0);
  }

  /** Serves one request to its end; never throws. */
  async handle(req: IncomingMessage, res: ServerResponse, rules: GuardRules): Promise<void> {
    try {
      await this.#serve(req, res, rules);
    } catch (error) {
      this.#parts.log('error', 'a request failed inside', { error });
      await refuse(res, { status: 500, code: -32_603, message: 'Internal server error' }, this.#writing);
    }
  }

  /** Ends what hangs on tokens that are not good any more. */
  async dropDead(): Promise<void> {
    const { tokens } = this.#parts;
    try {
      await tokens.refresh();
    } finally {
      // What is known has run out, also while nothing new can be learnt.
      const dead = [...this.#clients.values()].filter(({ id }) => !tokens.holds(id));
      await Promise.all(dead.map((client) => this.#drop(client)));
    }
  }

  /** No request is taken any more; resolves when those being served have been answered. */
  async drained(): Promise<void> {
    this.#isDraining = true;
    while (this.#work.size > 0) await Promise.all([...this.#work]);
  }

  /** Ends everything: calls in flight by their signal, streams, sessions. */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#updates.close();
    await this.#sessions.endAll();
    const clients = [...this.#clients.values()];
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(clients.flatMap(({ principal }) => [...principal.inFlight]));
  }

  async #serve(req: IncomingMessage, res: ServerResponse, rules: GuardRules): Promise<void> {
    const address = req.socket.remoteAddress ?? '';
    const { method = '', url = '', rawHeaders } = req;
    const judged = judgeHead({ method, url, rawHeaders }, rules);
    if (!judged.ok) return this.#refuse(res, judged.refusal, address);
    const { headers } = judged;
    tellOrigin(res, headers);
    if (this.#isDraining) return refuse(res, DRAINING, this.#writing);
    const wait = this.#byAddress.take(address);
    if (wait > 0) return refuse(res, tooFast(wait), this.#writing);
    if (isPreflight(method, headers)) {
      answerPreflight(res, ALLOWED);
      return;
    }
    const credential = await this.#credentialOf(headers);
    if (credential === undefined) {
      return this.#refuse(res, unauthorized(headers.has('authorization')), address);
    }
    const client = this.#clientOf(credential);
    const pause = this.#byPrincipal.take(client.principal.key);
    const leave = pause > 0 ? undefined : client.principal.enter('requests');
    if (leave === undefined) return refuse(res, tooFast(Math.max(pause, 1)), this.#writing);
    try {
      await this.#admitted({ req, res, headers, client });
    } finally {
      leave();
    }
  }

  /** A refusal of one who has shown no right to be here: counted by address, and silent beyond its bound. */
  async #refuse(res: ServerResponse, reason: Refusal, address: string): Promise<void> {
    this.#refused += 1;
    if (this.#refusals.take(address) > 0) {
      res.socket?.destroy();
      return;
    }
    this.#parts.log('debug', 'a request was refused', { status: reason.status, reason: reason.message });
    await refuse(res, reason, this.#writing);
  }

  async #credentialOf(headers: Headers): Promise<Credential | undefined> {
    const token = bearerToken(headers.get('authorization'));
    if (token === undefined) return undefined;
    await this.#parts.tokens.refresh();
    return this.#parts.tokens.verify(token);
  }

  #clientOf(credential: Credential): TokenClient {
    const known = this.#clients.get(credential.id);
    if (known !== undefined) return known;
    const { settings, stateKeys, ...parts } = this.#parts;
    const key = principalKey(credential.caller);
    const principal =
      this.#principals.get(key) ??
      createPrincipal(key, {
        requests: settings.maxRequestsPerPrincipal,
        streams: settings.maxStreamsPerPrincipal,
        sessions: settings.maxSessionsPerPrincipal,
        subscriptions: settings.maxSubscriptionsPerPrincipal,
      });
    this.#principals.set(key, principal);
    const client = createTokenClient(credential, {
      parts,
      stateKeys,
      principal,
      updates: this.#updates,
      maxStreams: settings.maxStreamsPerPrincipal,
    });
    this.#clients.set(credential.id, client);
    return client;
  }

  async #drop(client: TokenClient): Promise<void> {
    this.#clients.delete(client.id);
    await this.#sessions.endAll(client.id);
    await client.close();
  }

  async #admitted(admitted: Admitted): Promise<void> {
    const { req, res, headers, client } = admitted;
    if (req.method !== 'POST') return this.#sessionRequest(admitted);
    if (!isJson(headers.get('content-type'))) {
      const reason = refusal(415, 'Unsupported Media Type: Content-Type must be application/json');
      return refuse(res, reason, this.#writing);
    }
    if (headers.has('expect')) res.writeContinue();
    const { settings, clock } = this.#parts;
    const limits = { maxBytes: settings.maxBodyBytes, timeoutMs: settings.bodyTimeoutMs };
    const body = await readBody(req, headers, limits, clock);
    if (!body.ok) {
      return 'gone' in body ? undefined : refuse(res, body.refusal, this.#writing, body.id ?? null);
    }
    const { message } = body;
    const late = await this.#refusalSince(client);
    if (late !== undefined) return refuse(res, late, this.#writing, idOf(message));
    const { kind } = classifyInboundRequest({
      httpMethod: 'POST',
      body: message,
      ...standardHeaders(headers),
    });
    if (kind === 'legacy') return this.#sessionRequest(admitted, message);
    if (isJSONRPCRequest(message) && message.method === 'subscriptions/listen') {
      return this.#listen(admitted, message);
    }
    return this.#counted(this.#modern(admitted, message));
  }

  /** A body, or what is read for its request, may be long in coming: what was good at its head need not be so any more. */
  async #refusalSince({ id }: TokenClient): Promise<Refusal | undefined> {
    if (this.#isDraining) return DRAINING;
    const { tokens } = this.#parts;
    await tokens.refresh();
    return tokens.holds(id) ? undefined : unauthorized(true);
  }

  async #modern({ req, res, headers, client }: Admitted, message: JSONRPCMessage): Promise<void> {
    const { request, done } = webRequest(req, res, headers);
    try {
      const response = await client.modern.fetch(request, { parsedBody: message });
      await send(res, response, this.#writing);
    } finally {
      done();
    }
  }

  async #listen(admitted: Admitted, message: JSONRPCMessage): Promise<void> {
    if (!isJSONRPCRequest(message)) return;
    const { res, client } = admitted;
    const isOver = (): boolean => res.destroyed || this.#isDraining;
    // What it reads is work, which the end of the server waits for; the stream is not.
    const listening = await this.#counted(client.listen(message, isOver));
    if (listening === undefined) return refuse(res, TOO_MANY_STREAMS, this.#writing, message.id);
    try {
      const late = await this.#refusalSince(client);
      if (late === undefined) await this.#modern(admitted, listening.message);
      else await refuse(res, late, this.#writing, message.id);
    } finally {
      listening.end();
    }
  }

  async #sessionRequest(admitted: Admitted, message?: JSONRPCMessage): Promise<void> {
    const { req, res, headers, client } = admitted;
    const found = await this.#sessions.find(client, headers.get('mcp-session-id'), message);
    if (!found.ok) return refuse(res, found.refusal, this.#writing, idOf(message));
    const { session } = found;
    const leaveStream = req.method === 'GET' ? client.principal.enter('streams') : undefined;
    if (req.method === 'GET' && leaveStream === undefined) {
      return refuse(res, TOO_MANY_STREAMS, this.#writing);
    }
    const leave = this.#sessions.enter(session);
    try {
      const serving = this.#legacy(admitted, session, message);
      await (req.method === 'GET' ? serving : this.#counted(serving));
    } finally {
      leave();
      leaveStream?.();
    }
  }

  async #legacy({ req, res, headers }: Admitted, session: Session, message?: JSONRPCMessage): Promise<void> {
    const { request, done } = webRequest(req, res, headers);
    try {
      const parsedBody = message === undefined ? {} : { parsedBody: message };
      const response = await session.transport.handleRequest(request, parsedBody);
      // A handshake that the transport refused has begun nothing; DELETE has ended it.
      if (session.transport.sessionId === undefined || req.method === 'DELETE') {
        await this.#sessions.end(session);
      }
      await send(res, response, this.#writing);
    } finally {
      done();
    }
  }

  async #counted<T>(serving: Promise<T>): Promise<T> {
    const ended = serving.catch(() => undefined);
    this.#work.add(ended);
    try {
      return await serving;
    } finally {
      this.#work.delete(ended);
    }
  }
}

function idOf(message: JSONRPCMessage | undefined): string | number | null {
  return message !== undefined && isJSONRPCRequest(message) ? message.id : null;
}

function standardHeaders(headers: Headers): Record<string, string> {
  const named = {
    protocolVersionHeader: headers.get('mcp-protocol-version'),
    mcpMethodHeader: headers.get('mcp-method'),
    mcpNameHeader: headers.get('mcp-name'),
  };
  return Object.fromEntries(
    Object.entries(named).filter((one): one is [string, string] => one[1] !== undefined),
  );
}

/** Never passed on: the token, and what frames a body that has been read. */
const KEPT_BACK: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'content-length',
  'transfer-encoding',
  'connection',
  'expect',
]);

/** The request as the SDK takes it; its signal ends when the client leaves before its answer is whole. */
function webRequest(
  req: IncomingMessage,
  res: ServerResponse,
  headers: Headers,
): { request: Request; done: () => void } {
  const abort = new AbortController();
  const onClose = (): void => {
    if (!res.writableFinished) abort.abort();
  };
  res.once('close', onClose);
  if (res.destroyed) abort.abort();
  const kept = [...headers].filter(([name]) => !KEPT_BACK.has(name));
  const request = new Request('http://localhost/mcp', {
    method: req.method ?? 'POST',
    headers: kept,
    signal: abort.signal,
  });
  return { request, done: () => res.off('close', onClose) };
}
