// Owns how a change of a resource reaches whoever asked to be told: ours by looking at it, another server's by that
// server's own word, asked for through the door.
//
// K1  A notice is given only while policy leaves its resource reachable for whoever is told.
import { RuntimeError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { readArgs } from '../../kernel/catalog/reads.ts';
import type { CallAnswer } from '../../runtime/contract.ts';
import type { Connection } from '../connection.ts';
import type { Updates } from '../updates.ts';
import { isOwnResource, readResource } from '../resources.ts';
import { callSentence } from '../results.ts';

const METHOD = 'resources/subscribe';

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
  const told = (changed: string): void => {
    tell(changed).catch((error: unknown) => log('debug', 'an update was not delivered', { error }));
  };
  return runtime.reads.watch(caller, { server, uri, signal }, told, onEnd);
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
