// Owns what is wrapped: the program or address as it was typed, the name its tools go by, and the hosts and folder it may reach.
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, isAbsolute, resolve } from 'node:path';
import { digestJson } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { isHost, VARIABLE_NAME } from '../../config/shape.ts';
import { assertWrapName, wrapWord } from './name.ts';
import { hostWord, remoteOf } from './remote.ts';
import type { Remote, RemoteFlags } from './remote.ts';

export interface WrapFlags extends RemoteFlags {
  url?: string;
  name?: string;
  root?: string;
  allowHost?: string[];
  passEnv?: string[];
}

/** A program on this machine. `env`: names copied from our environment. */
export interface Program {
  transport: 'stdio';
  command: string;
  args: string[];
  env: string[];
  /** Where it is started: as its host would have done without us. */
  directory: string;
}

export interface WrapTarget {
  name: string;
  way: Program | Remote;
  /** The folder that paths in arguments must lie in. */
  root: string;
  hosts: string[];
  /** Of the program with its arguments, or the address, and its name: what was accepted for one holds for no other. */
  key: string;
}

export interface Surroundings {
  workspace: string;
  /** Where we were started; throws where that is gone. */
  directory: () => string;
  env: Readonly<Record<string, string | undefined>>;
}

// What programs need to start at all; no secret goes by these names.
const ALWAYS = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'SystemRoot', 'APPDATA', 'LOCALAPPDATA'];
function plainName(text: string): string | undefined {
  return wrapWord(
    text
      .toLowerCase()
      .replace(/\.[a-z]+$/, '')
      .replace(/^(?:mcp-)?server-|-?mcp(?:-server)?$/g, ''),
  );
}

const RUNNERS = /^(?:node|npx|npm|exec|uvx|uv|run|python3?|deno|bunx?)$/;
// Words of a path that say nothing of what the program is.
const SAYS_NOTHING = /^(?:index|main|cli|server|app|dist|build|src|lib|bin)$/;

/** `filesystem` for `npx -y @scope/server-filesystem ~/docs` and for `node …/server-filesystem/dist/index.js ~/docs`. */
function nameOf(words: readonly string[]): string {
  const said = words.find((word) => !word.startsWith('-') && !RUNNERS.test(basename(word))) ?? '';
  const parts = said.split(/[/\\]/).reverse();
  const telling = parts.find((part) => part !== '' && !SAYS_NOTHING.test(part.replace(/\.[a-z]+$/, '')));
  return (telling === undefined ? undefined : plainName(telling)) ?? 'wrapped';
}

function folder(path: string): string | undefined {
  return existsSync(path) && statSync(path).isDirectory() ? realpathSync(path) : undefined;
}

function rootOf(flag: string | undefined, args: readonly string[], workspace: string): string {
  if (flag !== undefined) {
    const found = folder(resolve(flag));
    if (found === undefined) throw new RuntimeError('NOT_FOUND', `--root ${flag} is not a folder.`);
    return found;
  }
  const named = args.filter((arg) => isAbsolute(arg)).find((arg) => folder(arg) !== undefined);
  return (named === undefined ? undefined : folder(named)) ?? workspace;
}

function nameFor(given: string | undefined, found: string): string {
  if (given !== undefined) assertWrapName(given);
  return given ?? found;
}

/** Asked only where a program is started: an address needs no directory. */
function startDirectory({ directory }: Surroundings): string {
  try {
    return directory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new RuntimeError(
      'NOT_FOUND',
      'The directory that wrap was started in is gone. Start it in one that is there.',
    );
  }
}

function keyOf(facts: JsonObject): string {
  return digestJson(facts).slice('sha256:'.length, 'sha256:'.length + 32);
}

function remoteTarget(url: string, flags: WrapFlags, { workspace, env }: Surroundings): WrapTarget {
  if (flags.passEnv !== undefined) {
    throw new RuntimeError('USAGE', '--pass-env is for a program; headers take theirs by --header-env.');
  }
  const way = remoteOf(url, flags, env);
  const name = nameFor(flags.name, plainName(hostWord(way.url)) ?? 'wrapped');
  const { hostname, port } = new URL(way.url);
  const own = port === '' ? hostname : `${hostname}:${port}`;
  return {
    name,
    way,
    root: rootOf(flags.root, [], workspace),
    hosts: [...new Set([own, ...(flags.allowHost ?? [])])],
    key: keyOf({ name, url: way.url }),
  };
}

/** What was typed is not repeated: it may hold the value of a variable, or a password before a host. */
function assertFlags({ passEnv = [], allowHost = [] }: WrapFlags): void {
  if (!passEnv.every((one) => VARIABLE_NAME.test(one))) {
    throw new RuntimeError(
      'USAGE',
      '--pass-env must name an environment variable; its value is not typed here.',
    );
  }
  if (!allowHost.every(isHost)) {
    throw new RuntimeError('USAGE', '--allow-host must be one host, host:port or origin, with no user.');
  }
}

/** Throws USAGE for a command that is missing, a name that cannot be one, and flags that do not go together. */
export function wrapTarget(words: readonly string[], flags: WrapFlags, around: Surroundings): WrapTarget {
  const [command, ...args] = words;
  assertFlags(flags);
  if (flags.url !== undefined) {
    if (command === undefined) return remoteTarget(flags.url, flags, around);
    throw new RuntimeError('USAGE', 'Wrap a program or a --url, not both.');
  }
  if (command === undefined) {
    throw new RuntimeError(
      'USAGE',
      'Name the server to wrap after --, e.g. `agent-runtime wrap -- node server.js`, or its --url.',
    );
  }
  if (flags.headerEnv !== undefined || flags.bearerEnv !== undefined) {
    throw new RuntimeError('USAGE', 'Headers are for a --url; a program takes its variables by --pass-env.');
  }
  const name = nameFor(flags.name, nameOf(words));
  const env = [...new Set([...ALWAYS, ...(flags.passEnv ?? [])])];
  return {
    name,
    way: { transport: 'stdio', command, args, env, directory: startDirectory(around) },
    root: rootOf(flags.root, args, around.workspace),
    hosts: flags.allowHost ?? [],
    key: keyOf({ name, command, args }),
  };
}
