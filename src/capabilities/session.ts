// Owns one started downstream server: child, transport, protocol client and its current tool list, from the first byte
// to the last. It is used until it breaks and never restarted; that is the connection's part.
import type { Client, ClientOptions } from '@modelcontextprotocol/client';
import { startDeadline } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { Progress } from '../kernel/execution/executor.ts';
import type { Confinement } from '../kernel/sandbox/confine.ts';
import type { Sandbox } from '../kernel/sandbox/contract.ts';
import type { Environment } from '../kernel/sandbox/environment.ts';
import { parseToolList } from './definitions.ts';
import type { LiveList } from './definitions.ts';
import { resolveEnv } from './environment.ts';
import { createToolListing } from './tool-listing.ts';
import type { ToolListing } from './tool-listing.ts';
import { StdioTransport } from './transport.ts';

export interface SessionDeps {
  sandbox: Sandbox;
  environment: Environment;
  clock: Clock;
  /** Of this package; servers see it. */
  clientVersion: string;
  onStderr?: (server: string, line: string) => void;
  /** Told after every list that a server gave, the first included: the moment to compare it with the pins. */
  onListed?: (server: string, list: LiveList) => void;
}

export interface CallOptions {
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

export interface Session {
  readonly era: 'legacy' | 'modern';
  readonly pid: number;
  /** What the child is held to. */
  readonly confinement: Confinement;
  /** Replies to nothing and lines that were no messages, so far. */
  oddities(): number;
  /** The list as it is now: asked again only after the server said that it changed. */
  tools(signal: AbortSignal): Promise<LiveList>;
  /** The last list that it gave. */
  listed(): LiveList;
  /** The server's result as it came, unchecked. */
  call(params: JsonObject, options: CallOptions): Promise<unknown>;
  /** Set as soon as a bound was broken or the child ended. */
  fault(): RuntimeError | undefined;
  /** Resolves with the reason once the connection has ended. */
  readonly ended: Promise<RuntimeError>;
  close(): Promise<void>;
}

export type Era = DownstreamServer['era'];

const MODERN_REVISION = '2026-07-28';
const MAX_PAGES = 64;
const MAX_PROBE_MS = 3000;
// Above any deadline of ours: the signal ends a call, never this.
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** Results are judged by us, so that nothing is dropped or compiled on the way. */
const unchecked = {
  '~standard': {
    version: 1 as const,
    vendor: 'agent-runtime',
    validate: (value: unknown): { value: unknown } => ({ value }),
  },
};

function negotiation(era: Era, startMs: number): NonNullable<ClientOptions['versionNegotiation']> {
  if (era === 'legacy') return { mode: 'legacy' };
  const probe = { timeoutMs: Math.min(MAX_PROBE_MS, startMs / 2) };
  return { mode: era === 'auto' ? 'auto' : { pin: MODERN_REVISION }, probe };
}

/** All pages, within the caps on pages and tools. */
async function listTools(client: Client, server: DownstreamServer, signal: AbortSignal): Promise<LiveList> {
  const entries: unknown[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const result: unknown = await client.request(
      { method: 'tools/list', params: cursor === undefined ? {} : { cursor } },
      unchecked,
      { signal, timeout: NO_TIMEOUT_MS },
    );
    const listed = isObject(result) ? result['tools'] : undefined;
    if (!isObject(result) || !Array.isArray(listed)) {
      throw new RuntimeError(
        'SUBPROCESS_PROTOCOL_ERROR',
        `${server.name} answered tools/list without a list`,
      );
    }
    entries.push(...(listed as unknown[]).slice(0, server.maxTools + 1));
    if (entries.length > server.maxTools) {
      throw new RuntimeError(
        'SUBPROCESS_PROTOCOL_ERROR',
        `${server.name} offers more than ${server.maxTools} tools`,
      );
    }
    const next = result['nextCursor'];
    if (typeof next !== 'string') return parseToolList(entries);
    cursor = next;
  }
  throw new RuntimeError(
    'SUBPROCESS_PROTOCOL_ERROR',
    `${server.name} has more than ${MAX_PAGES} pages of tools`,
  );
}

/** Messages that answered nothing. */
interface Heard {
  strays: number;
}

async function createClient(
  server: DownstreamServer,
  clientVersion: string,
  era: Era,
  heard: Heard,
): Promise<Client> {
  // Loaded at the first downstream call: a process that never makes one does not pay for it.
  const sdk = await import('@modelcontextprotocol/client');
  const client = new sdk.Client(
    { name: 'agent-runtime-pack', version: clientVersion },
    {
      // No sampling, roots or elicitation: a server's request for them is answered with "method not found".
      capabilities: {},
      inputRequired: { autoFulfill: false },
      versionNegotiation: negotiation(era, server.startTimeoutSeconds * 1000),
      // For the modern protocol this opens the subscription; the notification itself is handled in `connect`.
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => undefined } },
    },
  );
  client.onerror = () => {
    heard.strays++;
  };
  return client;
}

async function startTransport(server: DownstreamServer, deps: SessionDeps): Promise<StdioTransport> {
  const { onStderr } = deps;
  const env = await resolveEnv(server, deps.environment);
  const child = await deps.sandbox.spawn({
    label: server.name,
    command: server.command ?? '',
    args: server.args,
    envAllow: server.envAllow,
    env,
    ...(server.sandbox === undefined ? {} : { profile: server.sandbox }),
    ...(server.cwd === undefined ? {} : { cwd: server.cwd }),
    ...(onStderr === undefined ? {} : { onStderr: (line: string) => onStderr(server.name, line) }),
  });
  return new StdioTransport(child, server.name, server, deps.clock);
}

async function connect(
  client: Client,
  transport: StdioTransport,
  listing: ToolListing,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await client.connect(transport, { timeout: NO_TIMEOUT_MS, signal });
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    listing.changed();
  });
  await listing.current(signal);
}

async function open(
  server: DownstreamServer,
  deps: SessionDeps,
  era: Era,
  signal: AbortSignal,
): Promise<Session> {
  const heard: Heard = { strays: 0 };
  const client = await createClient(server, deps.clientVersion, era, heard);
  const transport = await startTransport(server, deps);
  const listing = createToolListing({
    server: server.name,
    ask: (until) => listTools(client, server, until),
    limitMs: server.startTimeoutSeconds * 1000,
    clock: deps.clock,
    onListed: (list) => deps.onListed?.(server.name, list),
  });
  void transport.ended.then(() => {
    listing.end();
  });
  const onAbort = (): void => void transport.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await connect(client, transport, listing, signal);
  } catch (thrown) {
    const fault = transport.fault;
    await transport.destroy();
    throw fault ?? thrown;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return {
    era: client.getProtocolEra() === 'modern' ? 'modern' : 'legacy',
    pid: transport.pid,
    confinement: transport.confinement,
    oddities: () => heard.strays + transport.garbage,
    tools: (until) => listing.current(until),
    listed: () => listing.last(),
    call: (params, { signal: until, onProgress }) =>
      client.request({ method: 'tools/call', params }, unchecked, {
        signal: until,
        timeout: NO_TIMEOUT_MS,
        onprogress: ({ progress, total, message }) => {
          onProgress({
            progress,
            ...(total === undefined ? {} : { total }),
            ...(message === undefined ? {} : { message }),
          });
        },
      }),
    fault: () => transport.fault,
    ended: transport.ended,
    close: () => transport.close(),
  };
}

/** Some old servers end when the newer protocol's question comes first; they are started once more without it. */
function endsAtProbe(thrown: unknown): boolean {
  return isObject(thrown) && thrown['code'] === 'ERA_NEGOTIATION_FAILED';
}

/** Starts, connects and lists within the server's start timeout; nothing of it is left when it throws. */
export async function startSession(
  server: DownstreamServer,
  deps: SessionDeps,
  era: Era,
  parent: AbortSignal,
): Promise<Session> {
  const deadline = startDeadline(deps.clock, server.startTimeoutSeconds * 1000, parent);
  try {
    try {
      return await open(server, deps, era, deadline.signal);
    } catch (thrown) {
      const isProbe = era === 'auto' && endsAtProbe(thrown) && !deadline.signal.aborted;
      if (!isProbe) throw thrown;
      return await open(server, deps, 'legacy', deadline.signal);
    }
  } catch (thrown) {
    if (!deadline.timedOut()) throw thrown;
    throw new RuntimeError(
      'DOWNSTREAM_UNAVAILABLE',
      `${server.name} did not start within ${server.startTimeoutSeconds} s`,
    );
  } finally {
    deadline.done();
  }
}
