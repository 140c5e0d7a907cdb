// Owns the runtime of a command that carries work out: joined over the workspace, and closed whatever happens.
import { createLog } from './log.ts';
import type { Context } from './context.ts';
import { callersOf } from './callers.ts';
import { localCaller } from './identity.ts';
import { onStop } from './on-stop.ts';
import { loadTrusted, sourceOf } from './trusted-config.ts';
import type { Caller } from '../kernel/identity.ts';
import type { RuntimeHandle } from '../runtime/options.ts';

export interface AtWork {
  runtime: RuntimeHandle;
  caller: Caller;
  /** Ended by the first SIGINT or SIGTERM: what is under way is left so that it can be resumed. */
  signal: AbortSignal;
}

/** With `serves`, a command that goes on until it is stopped: it takes its configuration anew when that is asked for. */
export async function withRuntime<T>(
  context: Context,
  work: (at: AtWork) => Promise<T>,
  how: { serves?: boolean } = {},
): Promise<T> {
  const config = await loadTrusted(context);
  const { createRuntime } = await import('../runtime/runtime.ts');
  const { log, settled } = createLog('warn', context.env);
  const { workspace, stateDirectory, env, clock, ids } = context;
  const runtime = await createRuntime({
    ...{ config, workspace, stateDirectory, env, clock, ids, log, ...callersOf(context, config, { log }) },
    ...(how.serves === true ? { configSource: sourceOf(context, config) } : {}),
  });
  const stopping = new AbortController();
  const stopListening = onStop(() => stopping.abort());
  try {
    return await work({ runtime, caller: localCaller(config.identity), signal: stopping.signal });
  } finally {
    stopListening();
    await runtime.close();
    await settled();
  }
}
