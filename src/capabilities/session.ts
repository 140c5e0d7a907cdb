// Owns one started downstream server: the way to it, protocol client and its current tool list, from the first byte to
// the last. It is used until it breaks and never restarted; that is the connection's part.
import type { Client } from '@modelcontextprotocol/client';
import { startDeadline } from '../base/abort.ts';
import type { Until } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { cutTo } from '../base/text.ts';
import type { DownstreamServer } from '../config/types.ts';
import { workingDirectory } from '../config/working-directory.ts';
import type { Progress } from '../kernel/execution/executor.ts';
import type { Confinement } from '../kernel/sandbox/confine.ts';
import type { Sandbox } from '../kernel/sandbox/contract.ts';
import { createClient } from './client.ts';
import type { Era } from './client.ts';
import { parseToolList } from './definitions.ts';
import type { LiveList } from './definitions.ts';
import { resolveValues } from './environment.ts';
import type { Outside } from './environment.ts';
import type { Link } from './link.ts';
import { hasTools, withReads } from './reads/offers.ts';
import { SessionReads } from './reads/session-reads.ts';
import { CallsInFlight } from './relay/calls-in-flight.ts';
import type { CallEars } from './relay/calls-in-flight.ts';
import { answerNeeds } from './relay/server-requests.ts';
import type { RequestPolicy } from './relay/server-requests.ts';
import { heardAsSignal } from './heard-signal.ts';
import type { LossCause } from './sessions/capability-session.ts';
import { MOST_A_MINUTE } from './sessions/refusals.ts';
import type { Refused } from './sessions/refusals.ts';
import { createToolListing } from './tool-listing.ts';
import type { ToolListing } from './tool-listing.ts';
import { NOT_SENT, SESSION_GONE, stdioLink, StdioTransport } from './transport.ts';

export interface SessionDeps extends Outside {
  sandbox: Sandbox;
  /** Where a server works that names no directory. */
  sandboxRoot: string;
  clock: Clock;
  /** A digest of whom the server works for; absent: nobody, as when its list is looked at. */
  owner?: string;
  /** Of this package; servers see it. */
  clientVersion: string;
  onStderr?: (server: string, line: string) => void;
  /** Told after every list that a server gave, the first included: the moment to compare it with the pins. */
  onListed?: (server: string, list: LiveList) => void;
  /** What servers may ask for; absent: nothing. */
  policy?: Omit<RequestPolicy, 'onRefused'>;
}

export interface CallOptions extends CallEars {
  until: Until;
  onProgress: (progress: Progress) => void;
}

/** `tools/call`, or a read that may take rounds of questions like one. */
export interface CallRequest {
  method: string;
  params: JsonObject;
}

/** Who hears what a server wanted and did not get. */
export interface RefusalEars {
  refused(refused: Refused): void;
  /** So many more, of which nothing is known any longer. */
  left(count: number): void;
}

/** Refusals in order; of those that came before anybody listened the first are kept. */
class RefusalsUntilHeard {
  readonly #kept: Refused[] = [];
  #left = 0;
  #ears: RefusalEars | undefined;

  add(refused: Refused): void {
    if (this.#ears !== undefined) this.#ears.refused(refused);
    else if (this.#kept.length < MOST_A_MINUTE) this.#kept.push(refused);
    else this.#left++;
  }

  listen(ears: RefusalEars): void {
    this.#ears = ears;
    for (const refused of this.#kept.splice(0)) ears.refused(refused);
    ears.left(this.#left);
  }
}

export interface Session {
  readonly era: 'legacy' | 'modern';
  /** Of the child, where there is one. */
  readonly pid?: number;
  /** What the child is held to. */
  readonly confinement?: Confinement;
  /** Replies to nothing and lines that were no messages, so far. */
  oddities(): number;
  /** The list as it is now: asked again only after the server said that it changed. */
  tools(until: Until): Promise<LiveList>;
  /** The last list that it gave. */
  listed(): LiveList;
  /** The server's result as it came, unchecked. */
  call(request: CallRequest, options: CallOptions): Promise<unknown>;
  /** Its lists of resources and prompts, and what it says about them. */
  readonly reads: SessionReads;
  /** Who hears what the server asked for and did not get. */
  onRefusal(ears: RefusalEars): void;
  /** Set as soon as a bound was broken or the connection ended. */
  fault(): RuntimeError | undefined;
  /** How the connection was lost, once it was. */
  loss(): LossCause | undefined;
  /** Resolves with the reason once the connection has ended. */
  readonly ended: Promise<RuntimeError>;
  /** Why we ended it, if we did. */
  closedBecause(): CloseReason | undefined;
  close(why: CloseReason): Promise<void>;
}

/**
 * idle: nobody used it. max_wait: a call through it waited for a person for as long as one may. replaced: another takes
 * its place. closed: its time was over in good order.
 */
export type CloseReason = 'idle' | 'max_wait' | 'replaced' | 'closed';

const MAX_PAGES = 64;
// Rounds of questions within one call; the number of questions is bounded by the relay.
const MAX_INPUT_ROUNDS = 32;
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

function oneRound(
  client: Client,
  asked: { method: string; params: Record<string, unknown> },
  options: CallOptions,
): Promise<unknown> {
  return client.request(asked, unchecked, {
    signal: heardAsSignal(options.until),
    timeout: NO_TIMEOUT_MS,
    allowInputRequired: true,
    onprogress: ({ progress, total, message }) => {
      options.onProgress({
        progress,
        ...(total === undefined ? {} : { total }),
        ...(message === undefined ? {} : { message }),
      });
    },
  });
}

/** A later round that was not heard says nothing of the first, which was. */
function heardBefore(thrown: unknown): unknown {
  if (!(thrown instanceof RuntimeError)) return thrown;
  const { [NOT_SENT]: _unsent, [SESSION_GONE]: _gone, ...details } = thrown.details;
  return new RuntimeError(thrown.code, thrown.message, details);
}

/** One call with all the rounds that its questions take. */
async function call(
  client: Client,
  { method, params }: CallRequest,
  options: CallOptions,
  policy: RequestPolicy,
): Promise<unknown> {
  let asked: { method: string; params: Record<string, unknown> } = { method, params };
  for (let round = 0; round < MAX_INPUT_ROUNDS; round++) {
    let result: unknown;
    try {
      result = await oneRound(client, asked, options);
    } catch (thrown) {
      throw round === 0 ? thrown : heardBefore(thrown);
    }
    if (!isObject(result) || result['resultType'] !== 'input_required') return result;
    const { inputRequests, requestState } = result;
    const more = {
      ...(isObject(inputRequests)
        ? { inputResponses: await answerNeeds(inputRequests, options, policy) }
        : {}),
      ...(requestState === undefined ? {} : { requestState }),
    };
    asked = { method, params: { ...params, ...more } };
  }
  throw new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', 'the server does not stop asking');
}

const VERSION_CHARS = 200;

/** With what the server says that it is. */
function versioned(client: Client, list: LiveList): LiveList {
  const said: unknown = client.getServerVersion()?.version;
  if (typeof said !== 'string' || said === '') return list;
  return { ...list, version: cutTo(said.toWellFormed(), VERSION_CHARS) };
}

/** All pages, within the caps on pages and tools. */
async function listTools(client: Client, server: DownstreamServer, signal: AbortSignal): Promise<LiveList> {
  const offers = client.getServerCapabilities() ?? {};
  if (!hasTools(offers)) return versioned(client, withReads({ tools: [], refused: [] }, offers));
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
    if (typeof next !== 'string') return versioned(client, withReads(parseToolList(entries), offers));
    cursor = next;
  }
  throw new RuntimeError(
    'SUBPROCESS_PROTOCOL_ERROR',
    `${server.name} has more than ${MAX_PAGES} pages of tools`,
  );
}

async function startLink(server: DownstreamServer, deps: SessionDeps): Promise<Link> {
  if (server.transport === 'http') {
    const { openHttpLink } = await import('./http-link.ts'); // a start needs it only where a server is reached so
    return openHttpLink(server, deps);
  }
  const { onStderr, owner } = deps;
  const env = await resolveValues(server, 'env', deps);
  const child = await deps.sandbox.spawn({
    label: server.name,
    command: server.command ?? '',
    args: server.args,
    envAllow: server.envAllow,
    env,
    ...(owner === undefined ? {} : { owner }),
    ...(server.sandbox === undefined ? {} : { profile: server.sandbox }),
    cwd: workingDirectory(server, deps.sandboxRoot),
    ...(onStderr === undefined ? {} : { onStderr: (line: string) => onStderr(server.name, line) }),
  });
  return stdioLink(new StdioTransport(child, server.name, server, deps.clock));
}

async function connect(client: Client, link: Link, listing: ToolListing, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await client.connect(link.transport, { timeout: NO_TIMEOUT_MS, signal });
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    listing.changed();
  });
  await listing.current(signal);
}

function listingOf(server: DownstreamServer, deps: SessionDeps, client: Client, link: Link): ToolListing {
  const listing = createToolListing({
    server: server.name,
    ask: (until) => listTools(client, server, until),
    limitMs: server.startTimeoutSeconds * 1000,
    clock: deps.clock,
    onListed: (list) => deps.onListed?.(server.name, list),
  });
  void link.ended.then(() => {
    listing.end();
  });
  return listing;
}

function readsOf(server: DownstreamServer, deps: SessionDeps, client: Client, link: Link): SessionReads {
  const limitMs = server.startTimeoutSeconds * 1000;
  const reads = new SessionReads({ client, server: server.name, clock: deps.clock, limitMs });
  void link.ended.then(() => {
    reads.end();
  });
  return reads;
}

function requestPolicy({ policy }: SessionDeps, onRefused: (refused: Refused) => void): RequestPolicy {
  return {
    elicitation: policy?.elicitation ?? false,
    sampling: policy?.sampling ?? false,
    roots: policy?.roots,
    onRefused: (method, why) => onRefused({ method, why }),
  };
}

async function open(
  server: DownstreamServer,
  deps: SessionDeps,
  era: Era,
  signal: AbortSignal,
): Promise<Session> {
  let strays = 0;
  let closing: CloseReason | undefined;
  const calls = new CallsInFlight();
  const refusals = new RefusalsUntilHeard();
  const requests = requestPolicy(deps, (refused) => refusals.add(refused));
  const client = await createClient({
    server,
    clientVersion: deps.clientVersion,
    era,
    calls,
    requests,
    onStray: () => {
      strays++;
    },
  });
  const link = await startLink(server, deps);
  const listing = listingOf(server, deps, client, link);
  const reads = readsOf(server, deps, client, link);
  const onAbort = (): void => void link.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await connect(client, link, listing, signal);
    reads.hear();
  } catch (thrown) {
    const fault = link.fault();
    await link.destroy();
    throw fault ?? thrown;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return {
    era: client.getProtocolEra() === 'modern' ? 'modern' : 'legacy',
    ...(link.pid === undefined ? {} : { pid: link.pid }),
    ...(link.confinement === undefined ? {} : { confinement: link.confinement }),
    oddities: () => strays + link.garbage(),
    tools: (until) => listing.current(until),
    listed: () => listing.last(),
    call: (request, options) =>
      calls.run(calledOf(request), options.until, options, () => call(client, request, options, requests)),
    reads,
    onRefusal: (ears) => refusals.listen(ears),
    fault: () => link.fault(),
    loss: () => link.loss(),
    ended: link.ended,
    closedBecause: () => closing,
    close: (why) => {
      closing ??= why;
      return link.close();
    },
  };
}

function calledOf({ method, params: { name } }: CallRequest): string {
  if (method !== 'tools/call') return method;
  return typeof name === 'string' ? name : '';
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
