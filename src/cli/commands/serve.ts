// Owns `serve`: one client on standard input and output, or many over HTTP, until they leave or a signal asks to stop.
// Standard output is the server's alone from the first moment.
import { Console } from 'node:console';
import { RuntimeError } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { ConfigSource, RuntimeHandle } from '../../runtime/options.ts';
import type {
  NameMode,
  ServeOptions as ServerOptions,
  ServerLog,
  TokenVerifier,
  ToolSet,
} from '../../server/index.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { callersOf } from '../callers.ts';
import type { Callers } from '../callers.ts';
import { localCaller } from '../identity.ts';
import { knownTokens } from '../known-tokens.ts';
import { createLog } from '../log.ts';
import type { LogLevel } from '../log.ts';
import { onStop } from '../on-stop.ts';
import { loadTrusted, sourceOf } from '../trusted-config.ts';
import { version } from '../version.ts';

export interface ServeOptions extends CommonOptions {
  tools: ToolSet;
  toolNames: NameMode;
  logLevel: LogLevel;
  http?: boolean;
  port?: number;
  host?: string;
  path?: string;
}

/** What either kind of server is to this command. */
export interface Served {
  /** Resolves when the last client is gone, or never. */
  done: Promise<void>;
  close(): Promise<void>;
}

export interface Serving {
  context: Context;
  config: RuntimeConfig;
  runtime: RuntimeHandle;
  options: ServerOptions;
  log: ServerLog;
}

export async function serveStdio({ context, config, runtime, options, log }: Serving): Promise<Served> {
  const { serveRuntimeStdio } = await import('../../server/stdio.ts');
  const { clock, ids, workspace } = context;
  const server = await serveRuntimeStdio({
    runtime,
    caller: localCaller(config.identity),
    options,
    clock,
    ids,
    log,
    stdin: process.stdin,
    stdout: process.stdout,
    // A new process is a new actor, so a state signed for an old one has nothing left to say.
    stateKeys: { current: ids.bytes(32) },
  });
  log('info', 'serving', { workspace, config: config.directory, policy_digest: config.policy.digest });
  return server;
}

async function serveHttp(serving: Serving, tokens: TokenVerifier, at: ServeOptions): Promise<Served> {
  const { serveRuntimeHttp } = await import('../../server/http/serve.ts');
  const { context, config, runtime, options, log } = serving;
  const { clock, ids, workspace } = context;
  const { host = '127.0.0.1', port = 8931, path = '/mcp' } = at;
  const server = await serveRuntimeHttp({
    runtime,
    options,
    clock,
    ids,
    log,
    tokens,
    host,
    port,
    path,
    stateKeys: { current: ids.bytes(32) },
  });
  const policy_digest = config.policy.digest;
  log('info', 'serving', { url: server.url, workspace, config: config.directory, policy_digest });
  if (!tokens.any()) {
    log('warn', 'there is no token yet, so nobody can call; make one with `agent-runtime tokens add`');
  }
  let closed = (): void => undefined;
  const done = new Promise<void>((resolve) => {
    closed = resolve;
  });
  return {
    done,
    async close() {
      await server.close();
      const { updates, refused } = server.counts;
      log('info', 'stopped', { updates, refused });
      closed();
    },
  };
}

const OF_HTTP = ['port', 'host', 'path'] as const;

function checked(options: ServeOptions): ServeOptions {
  const { http = false, port = 0 } = options;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new RuntimeError('USAGE', '--port must be a whole number from 0 to 65535.');
  }
  const misplaced = http ? undefined : OF_HTTP.find((name) => options[name] !== undefined);
  if (misplaced !== undefined) {
    throw new RuntimeError('USAGE', `--${misplaced} says where to serve over HTTP; add --http.`);
  }
  return options;
}

/** From now on standard output is the server's alone: a library that prints must not end the client's session. */
export function takeStdout(): void {
  globalThis.console = new Console(process.stderr, process.stderr);
}

export interface Carried {
  context: Context;
  config: RuntimeConfig;
  options: ServerOptions;
  log: ServerLog;
  callers: Callers;
  /** Absent: the configuration is not of files, and stays. */
  source?: ConfigSource;
  /** It sees to all that is due, of whomever it is. */
  works?: true;
  open: (serving: Serving) => Promise<Served>;
}

/** A runtime over the configuration, served until its clients are gone or a signal asks to stop. */
export async function carry(parts: Carried): Promise<Exit> {
  const { context, config, options, log, callers, source, works, open } = parts;
  const { createRuntime } = await import('../../runtime/runtime.ts');
  const { workspace, stateDirectory, env, clock, ids } = context;
  const runtime = await createRuntime({
    ...{ config, workspace, stateDirectory, env, clock, ids, log, ...callers },
    ...(source === undefined ? {} : { configSource: source }),
  });
  try {
    const server = await open({ context, config, runtime, options, log });
    onStop((signal) => {
      log('info', 'stopping', { signal });
      void server.close();
    });
    if (works === true) await runtime.startWorker();
    await server.done;
  } finally {
    await runtime.close();
  }
  return EXIT.ok;
}

export async function serve(context: Context, given: ServeOptions): Promise<Exit> {
  const { tools, toolNames, logLevel, http } = checked(given);
  takeStdout();
  const { log, settled } = createLog(logLevel, context.env);
  // Loaded while the configuration is read; nothing of it is used before the configuration is trusted.
  const rooms = Promise.all([
    import('../../runtime/runtime.ts'),
    http === true ? import('../../server/http/serve.ts') : import('../../server/stdio.ts'),
  ]);
  const config = await loadTrusted(context);
  await rooms;
  const known = knownTokens(context, config);
  const callers = callersOf(context, config, { tokens: known, log });
  const tokens =
    http === true ? (await import('../token-verifier.ts')).tokenVerifier(known, context) : undefined;
  const options: ServerOptions = { tools, toolNames, version: version() };
  const open = (serving: Serving): Promise<Served> =>
    tokens === undefined ? serveStdio(serving) : serveHttp(serving, tokens, given);
  try {
    const source = sourceOf(context, config);
    return await carry({ context, config, options, log, callers, source, works: true, open });
  } finally {
    await settled();
  }
}
