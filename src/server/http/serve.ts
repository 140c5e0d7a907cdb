// Owns the HTTP server from bind to the last byte: who may bind where, what a connection may cost before a request is
// read, and an orderly end.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { RuntimeError } from '../../base/errors.ts';
import type { HttpSettings } from '../../config/types.ts';
import { HttpFront } from './front.ts';
import type { FrontCounts, FrontParts } from './front.ts';
import { isLoopback, ownNames } from './guard.ts';
import type { GuardRules } from './guard.ts';
import { within } from '../within.ts';

const DEFAULT_GRACE_MS = 5000;
const LOOK_AT_TOKENS_MS = 1000;

/** What is served, to whom, and where. */
export interface ServeHttpInput extends Omit<FrontParts, 'settings'> {
  host: string;
  /** 0: any free one. */
  port: number;
  /** The one route; begins with a slash. */
  path: string;
  /** Default: `http` of runtime.yaml. */
  settings?: HttpSettings;
}

/** A server that listens. */
export interface HttpServer {
  readonly url: string;
  readonly counts: FrontCounts;
  /** Stops intake, lets what runs end within the grace, then ends it; resolves when nothing is left. */
  close(): Promise<void>;
}

function assertBind({ host, path, tokens }: ServeHttpInput): void {
  if (!/^\/[A-Za-z0-9._~/-]*$/.test(path)) {
    throw new RuntimeError(
      'USAGE',
      `The path ${JSON.stringify(path)} is not one: it begins with / and has no query.`,
    );
  }
  if (!isLoopback(host) && !tokens.any()) {
    throw new RuntimeError(
      'CONFIGURATION_ERROR',
      `Serving on ${host}, which other machines can reach, needs at least one token: there is none. Make one with \`agent-runtime tokens add\`, or listen on 127.0.0.1.`,
      { host },
    );
  }
}

/** Ends connections beyond the bounds before a byte of them is read. */
function boundConnections(server: Server, settings: HttpSettings): void {
  server.maxConnections = settings.maxConnections;
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
    if (count > settings.maxConnectionsPerAddress) socket.destroy();
  });
}

function createBoundServer(settings: HttpSettings): Server {
  const { headerTimeoutMs, bodyTimeoutMs, idleTimeoutMs } = settings;
  const server = createServer({
    headersTimeout: headerTimeoutMs,
    // The body has its own, shorter clock; this one also counts what the first one did.
    requestTimeout: headerTimeoutMs + bodyTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, Math.ceil(headerTimeoutMs / 4)),
    keepAliveTimeout: idleTimeoutMs,
    maxHeaderSize: settings.maxHeaderBytes,
    noDelay: true,
  });
  // One more than may come, so that too many can be told from just enough.
  server.maxHeadersCount = settings.maxHeaders + 1;
  boundConnections(server, settings);
  return server;
}

async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((thrown: unknown) => {
    const { code = 'unknown' } = thrown as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'something else listens there' : code;
    const text = `Cannot listen on ${host} port ${port}: ${why}; choose another port or address.`;
    throw new RuntimeError('USAGE', text, { host, port });
  });
  return server.address() as AddressInfo;
}

/** Looks for revoked and expired tokens even when nobody calls: a stream must end with its token. */
function watchTokens(front: HttpFront, { clock, log }: ServeHttpInput): () => void {
  let cancel = (): void => undefined;
  let isStopped = false;
  const arm = (): void => {
    cancel = clock.after(LOOK_AT_TOKENS_MS, () => {
      void front
        .dropDead()
        .catch((error: unknown) => log('warn', 'tokens could not be looked at', { error }))
        .then(() => {
          if (!isStopped) arm();
        });
    });
  };
  arm();
  return () => {
    isStopped = true;
    cancel();
  };
}

/** Serves both eras at one URL. Throws CONFIGURATION_ERROR or USAGE before anything is listened on. */
export async function serveRuntimeHttp(input: ServeHttpInput): Promise<HttpServer> {
  const { host, path, clock, log, runtime } = input;
  await input.tokens.refresh();
  assertBind(input);
  const settings = input.settings ?? runtime.config.runtime.http;
  const front = new HttpFront({ ...input, settings });
  const server = createBoundServer(settings);
  const address = await listen(server, host, input.port);
  const own = ownNames(host, address.port);
  const rules: GuardRules = {
    hosts: new Set([...own.hosts, ...settings.allowedHosts]),
    origins: new Set([...own.origins, ...settings.allowedOrigins]),
    maxHeaders: settings.maxHeaders,
    path,
  };
  const handle = (req: IncomingMessage, res: ServerResponse): void => void front.handle(req, res, rules);
  // Without the second, Node would ask for the body before anybody has looked at the head.
  server.on('request', handle).on('checkContinue', handle);
  server.on('error', (error) => log('error', 'the HTTP server', { error }));
  const stopWatching = watchTokens(front, input);

  async function close(): Promise<void> {
    const grace = input.options.graceMs ?? DEFAULT_GRACE_MS;
    stopWatching();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await within(clock, grace, front.drained());
    await within(clock, grace, front.close());
    server.closeAllConnections();
    await closed;
  }
  let closing: Promise<void> | undefined;
  return {
    url: `${own.origins[0] ?? ''}${path}`,
    get counts() {
      return front.counts;
    },
    close: () => (closing ??= close()),
  };
}
