// Owns `serve`: one client on standard input and output, until it leaves or a signal asks to stop. Standard output is the
// server's alone from the first moment.
import { Console } from 'node:console';
import { RuntimeError } from '../../base/errors.ts';
import type { NameMode, ToolSet } from '../../server/index.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { callersOf, localCaller } from '../identity.ts';
import { createLog, isLevel } from '../log.ts';
import { loadTrusted } from '../trusted-config.ts';
import { version } from '../version.ts';

export interface ServeOptions extends CommonOptions {
  tools: ToolSet;
  toolNames: NameMode;
  logLevel: string;
}

/** The first signal drains; a second one ends the process at once, as if nobody listened. */
function onStop(stop: (signal: NodeJS.Signals) => void): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
}

export async function serve(context: Context, options: ServeOptions): Promise<Exit> {
  if (!isLevel(options.logLevel)) {
    throw new RuntimeError('USAGE', '--log-level must be debug, info, warn or error.');
  }
  // A library that prints must not end the client's session.
  globalThis.console = new Console(process.stderr, process.stderr);
  const { log, settled } = createLog(options.logLevel);
  // Loaded while the configuration is read; nothing of it is used before the configuration is trusted.
  const rooms = Promise.all([import('../../runtime/runtime.ts'), import('../../server/index.ts')]);
  const config = await loadTrusted(context);
  const [{ createRuntime }, { serveRuntimeStdio }] = await rooms;
  const { workspace, stateDirectory, env, clock, ids } = context;
  const callerOf = callersOf(config);
  const runtime = await createRuntime({ config, workspace, stateDirectory, env, clock, ids, log, callerOf });
  try {
    const server = await serveRuntimeStdio({
      runtime,
      caller: localCaller(config.identity),
      options: { tools: options.tools, toolNames: options.toolNames, version: version() },
      clock,
      ids,
      log,
      stdin: process.stdin,
      stdout: process.stdout,
      // A new process is a new actor, so a state signed for an old one has nothing left to say.
      stateKeys: { current: ids.bytes(32) },
    });
    onStop((signal) => {
      log('info', 'stopping', { signal });
      void server.close();
    });
    log('info', 'serving', { workspace, config: config.directory, policy_digest: config.policy.digest });
    if (config.runtime.background.enabled) await runtime.startWorker();
    await server.done;
  } finally {
    await runtime.close();
    await settled();
  }
  return EXIT.ok;
}
