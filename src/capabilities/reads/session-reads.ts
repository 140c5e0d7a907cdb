// Owns the lists of resources, templates and prompts of one started server as we hold them, and who is told when they or
// a resource change.
//
// L1  A list is held until the server says that it changed; one of a server that never says so, for LIST_MS.
// L2  A list is whole or none: beyond the bounds, or with an answer that is no list, the server has none to show.
import type { Client, McpSubscription } from '@modelcontextprotocol/client';
import type { Clock } from '../../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { checkJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { untilAborted } from '../until-aborted.ts';
import { startDeadline } from '../../base/abort.ts';
import { stripMeta } from '../result.ts';
import { Notices } from './notices.ts';
import type { Notice } from './notices.ts';

export type ListKind = 'resources' | 'resourceTemplates' | 'prompts';

interface Listing {
  method: string;
  /** The part of the server's capabilities that it belongs to. */
  of: 'resources' | 'prompts';
  /** What an entry cannot be without. */
  keys: readonly string[];
}

const LISTINGS: Readonly<Record<ListKind, Listing>> = {
  resources: { method: 'resources/list', of: 'resources', keys: ['uri', 'name'] },
  resourceTemplates: { method: 'resources/templates/list', of: 'resources', keys: ['uriTemplate', 'name'] },
  prompts: { method: 'prompts/list', of: 'prompts', keys: ['name'] },
};

const LIST_MS = 30_000;
const MAX_PAGES = 64;
const MAX_ITEMS = 5000;
const ITEM_LIMITS = { maxDepth: 32, maxBytes: 64 * 1024 };
const NO_TIMEOUT_MS = 2 ** 31 - 1;

const unchecked = {
  '~standard': {
    version: 1 as const,
    vendor: 'agent-runtime',
    validate: (value: unknown): { value: unknown } => ({ value }),
  },
};

interface Held {
  items: Promise<JsonObject[]>;
  at: number;
}

/** A resource that somebody follows, or waits to. */
interface Watched {
  users: number;
  /** Of these, those whose call has subscribed and whom nobody follows yet. */
  unfollowed: number;
  asking: AbortController;
  /** Resolves once the server has agreed, with the stream where it is one. */
  asked: Promise<McpSubscription | undefined>;
}

/** An entry as it came, without what the protocol itself says; undefined for one that is none. */
function entryOf(raw: unknown, keys: readonly string[]): JsonObject | undefined {
  if (!isObject(raw) || !keys.every((key) => typeof raw[key] === 'string' && raw[key] !== ''))
    return undefined;
  try {
    return stripMeta(checkJson(raw, ITEM_LIMITS) as JsonObject);
  } catch {
    return undefined;
  }
}

export interface SessionReadsParts {
  client: Client;
  server: string;
  clock: Clock;
  /** How long one list may take. */
  limitMs: number;
}

export class SessionReads {
  readonly #parts: SessionReadsParts;
  readonly #notices: Notices;
  readonly #held = new Map<ListKind, Held>();
  readonly #watched = new Map<string, Watched>();
  readonly #life = new AbortController();

  constructor(parts: SessionReadsParts) {
    this.#parts = parts;
    this.#notices = new Notices(parts.clock);
  }

  /** Once the client is connected: what the SDK registered for itself by then is replaced. */
  hear(): void {
    const { client } = this.#parts;
    client.setNotificationHandler('notifications/resources/list_changed', () => this.#changed('resources'));
    client.setNotificationHandler('notifications/prompts/list_changed', () => this.#changed('prompts'));
    client.setNotificationHandler('notifications/resources/updated', ({ params: { uri } }) => {
      if ([...this.#watched.keys()].some((known) => uri === known || uri.startsWith(`${known}/`))) {
        this.#notices.give({ kind: 'updated', uri });
      }
    });
  }

  /** All pages (L1, L2); empty for a server that offers none of the kind. */
  list(kind: ListKind, signal: AbortSignal): Promise<JsonObject[]> {
    const { client, clock } = this.#parts;
    const offers = client.getServerCapabilities()?.[LISTINGS[kind].of];
    if (offers === undefined) return Promise.resolve([]);
    const held = this.#held.get(kind);
    const isFresh =
      held !== undefined && (offers.listChanged === true || clock.monotonic() - held.at < LIST_MS);
    if (isFresh) return untilAborted(held.items, signal);
    const items = this.#ask(kind);
    const asked = { items, at: clock.monotonic() };
    this.#held.set(kind, asked);
    items.catch(() => {
      if (this.#held.get(kind) === asked) this.#held.delete(kind);
    });
    return untilAborted(items, signal);
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    return this.#notices.listen(listener);
  }

  /** Asks to be told; each `subscribe` needs its `unsubscribe`. One that fails, or whose wait is ended, needs none. */
  async subscribe(uri: string, signal: AbortSignal): Promise<void> {
    const watched = this.#watched.get(uri) ?? this.#watch(uri);
    watched.users++;
    try {
      await untilAborted(watched.asked, signal);
    } catch (thrown) {
      this.#leave(uri, watched);
      throw thrown;
    }
  }

  /** As `subscribe`, for whoever follows it afterwards. */
  async subscribeAhead(uri: string, signal: AbortSignal): Promise<void> {
    await this.subscribe(uri, signal);
    const watched = this.#watched.get(uri);
    if (watched !== undefined) watched.unfollowed++;
  }

  /** Takes over what was subscribed to ahead; where nothing was, as after a new start, it is subscribed to. */
  async follow(uri: string, signal: AbortSignal): Promise<void> {
    const watched = this.#watched.get(uri);
    if (watched === undefined || watched.unfollowed === 0) await this.subscribe(uri, signal);
    else watched.unfollowed--;
  }

  unsubscribe(uri: string): void {
    const known = this.#watched.get(uri);
    if (known !== undefined) this.#leave(uri, known);
  }

  /** The server is asked once, for all who come while it is. */
  #watch(uri: string): Watched {
    const asking = new AbortController();
    const watched: Watched = { users: 0, unfollowed: 0, asking, asked: this.#askFor(uri, asking.signal) };
    this.#watched.set(uri, watched);
    watched.asked.catch(() => this.#forget(uri, watched));
    return watched;
  }

  async #askFor(uri: string, signal: AbortSignal): Promise<McpSubscription | undefined> {
    const { client } = this.#parts;
    // The signal ends the asking only: given to the stream, it would end that with the call.
    if (client.getProtocolEra() === 'modern') return client.listen({ resourceSubscriptions: [uri] });
    const options = { signal, timeout: NO_TIMEOUT_MS };
    await client.request({ method: 'resources/subscribe', params: { uri } }, unchecked, options);
    return undefined;
  }

  #forget(uri: string, watched: Watched): void {
    if (this.#watched.get(uri) === watched) this.#watched.delete(uri);
  }

  #leave(uri: string, watched: Watched): void {
    watched.users--;
    if (watched.users > 0) return;
    this.#forget(uri, watched);
    watched.asking.abort();
    // What it still says of the resource goes to nobody; one that was never asked for needs no end.
    watched.asked.then((stream) => this.#endWatch(uri, stream)).catch(() => undefined);
  }

  end(): void {
    this.#life.abort();
    this.#notices.end();
  }

  async #endWatch(uri: string, stream: McpSubscription | undefined): Promise<void> {
    if (stream !== undefined) return stream.close();
    await this.#parts.client.request({ method: 'resources/unsubscribe', params: { uri } }, unchecked);
  }

  #changed(of: Listing['of']): void {
    for (const kind of [...this.#held.keys()]) if (LISTINGS[kind].of === of) this.#held.delete(kind);
    this.#notices.give({ kind: of });
  }

  async #ask(kind: ListKind): Promise<JsonObject[]> {
    const { clock, limitMs } = this.#parts;
    const deadline = startDeadline(clock, limitMs, this.#life.signal);
    try {
      return await this.#pages(kind, deadline.signal);
    } catch (thrown) {
      throw thrown instanceof Error ? thrown : asRuntimeError(thrown);
    } finally {
      deadline.done();
    }
  }

  async #pages(kind: ListKind, signal: AbortSignal): Promise<JsonObject[]> {
    const { client, server } = this.#parts;
    const { method, keys } = LISTINGS[kind];
    const refusal = (why: string): RuntimeError =>
      new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', `${server} ${why} to ${method}`);
    const items: JsonObject[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const options = { signal, timeout: NO_TIMEOUT_MS };
      const result: unknown = await client.request({ method, params }, unchecked, options);
      const listed = isObject(result) ? result[kind] : undefined;
      if (!isObject(result) || !Array.isArray(listed)) throw refusal('answered without a list');
      if (items.length + listed.length > MAX_ITEMS) throw refusal(`answered more than ${MAX_ITEMS} entries`);
      for (const raw of listed as unknown[]) {
        const entry = entryOf(raw, keys);
        if (entry !== undefined) items.push(entry);
      }
      const next = result['nextCursor'];
      if (typeof next !== 'string') return items;
      cursor = next;
    }
    throw refusal(`answered more than ${MAX_PAGES} pages`);
  }
}
