// Owns how a change of a resource reaches whoever asked to be told: ours by looking at it, another server's by that
// server's own word, asked for through the door.
//
// K1  A notice is given only while policy leaves its resource reachable for whoever is told.
import { RuntimeError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { readArgs } from '../../kernel/catalog/reads.ts';
import type { CallAnswer } from '../../runtime/contract.ts';
import type { Connection, Subscriptions } from '../connection.ts';
import type { Updates } from '../http/updates.ts';
import { isOwnResource, readResource } from '../resources.ts';
import { callSentence } from '../results.ts';

const METHOD = 'resources/subscribe';
// Of one connection that has no other bound; each keeps a connection to its server open.
const MOST = 200;

export interface Watching {
  uri: string;
  notify: (uri: string) => void;
  /** It may not be read any more. */
  onEnd: () => void;
}

type WatchingConnection = Pick<Connection, 'runtime' | 'caller' | 'reads' | 'log'>;

function refusal(answer: CallAnswer): RuntimeError {
  const codes: Partial<Record<CallAnswer['status'], ErrorCode>> = {
    denied: 'POLICY_DENIED',
    approval_required: 'APPROVAL_REQUIRED',
  };
  return new RuntimeError(
    codes[answer.status] ?? answer.error?.code ?? 'TOOL_EXECUTION_FAILED',
    callSentence(answer),
  );
}

async function watchGoverned(
  { runtime, caller, reads, log }: WatchingConnection,
  { uri, notify, onEnd }: Watching,
): Promise<() => void> {
  const { signal } = new AbortController();
  const server = await reads.serverOf(uri, signal);
  const args = readArgs(METHOD, { uri });
  if (server === undefined || args === undefined) throw new RuntimeError('NOT_FOUND', `There is no ${uri}.`);
  const answer = await runtime.callCapability(caller, { tool: `${server}:${METHOD}`, args }, { signal });
  if (answer.status !== 'done') throw refusal(answer);
  const tell = async (changed: string): Promise<void> => {
    if ((await runtime.reads.servers(caller, METHOD)).includes(server)) notify(changed);
    else onEnd();
  };
  return runtime.reads.watch(caller, { server, uri, signal }, (changed) => {
    tell(changed).catch((error: unknown) => log('debug', 'an update was not delivered', { error }));
  });
}

/** Throws what reading the resource throws, or why it may not be watched. What it returns ends it. */
export function watchResource(
  connection: WatchingConnection,
  updates: Updates,
  watching: Watching,
): Promise<() => void> {
  const { runtime, caller, reads } = connection;
  const { uri, notify, onEnd } = watching;
  if (reads.offered.updates && !isOwnResource(uri)) return watchGoverned(connection, watching);
  const read = (): ReturnType<typeof readResource> => readResource(runtime, caller, uri);
  return updates.watch({ uri, read, notify: () => notify(uri), onEnd });
}

/** The subscriptions of a connection with one client, until it ends. */
export class ConnectionSubscriptions implements Subscriptions {
  readonly #connection: WatchingConnection;
  readonly #updates: Updates;
  readonly #notify: (uri: string) => void;
  readonly #stops = new Map<string, Promise<() => void>>();

  constructor(connection: WatchingConnection, updates: Updates, notify: (uri: string) => void) {
    this.#connection = connection;
    this.#updates = updates;
    this.#notify = notify;
  }

  async subscribe(uri: string): Promise<void> {
    const known = this.#stops.get(uri);
    if (known === undefined && this.#stops.size >= MOST) {
      throw new RuntimeError('LIMIT_EXCEEDED', 'Too many subscriptions are open.');
    }
    const onEnd = (): void => this.unsubscribe(uri);
    const stop =
      known ?? watchResource(this.#connection, this.#updates, { uri, notify: this.#notify, onEnd });
    this.#stops.set(uri, stop);
    try {
      await stop;
    } catch (thrown) {
      if (this.#stops.get(uri) === stop) this.#stops.delete(uri);
      throw thrown;
    }
  }

  unsubscribe(uri: string): void {
    const stop = this.#stops.get(uri);
    this.#stops.delete(uri);
    stop?.then(
      (end) => end(),
      () => undefined,
    );
  }

  close(): void {
    for (const uri of [...this.#stops.keys()]) this.unsubscribe(uri);
    this.#updates.close();
  }
}
