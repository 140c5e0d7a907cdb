// Owns what is wrapped: the program as it was typed, the name its tools go by, and the hosts and folder it may reach.
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, isAbsolute, resolve } from 'node:path';
import { digestJson } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';

export interface WrapFlags {
  name?: string;
  root?: string;
  allowHost?: string[];
  passEnv?: string[];
}

export interface WrapTarget {
  name: string;
  command: string;
  args: string[];
  /** The folder that paths in arguments must lie in. */
  root: string;
  hosts: string[];
  /** Names copied from our environment. */
  env: string[];
  /** Of the program, its arguments and its name: what was accepted for one program holds for no other. */
  key: string;
}

// What programs need to start at all; no secret goes by these names.
const ALWAYS = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'SystemRoot', 'APPDATA', 'LOCALAPPDATA'];
const NAME = /^[a-z][a-z0-9-]{0,30}$/;
const RESERVED = 'agent';

function plainName(text: string): string | undefined {
  const name = text
    .toLowerCase()
    .replace(/\.[a-z]+$/, '')
    .replace(/^(?:mcp-)?server-|-?mcp(?:-server)?$/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 24);
  return NAME.test(name) && name !== RESERVED ? name : undefined;
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

/** Throws USAGE for a command that is missing and a name that cannot be one. */
export function wrapTarget(words: readonly string[], flags: WrapFlags, workspace: string): WrapTarget {
  const [command, ...args] = words;
  if (command === undefined) {
    throw new RuntimeError(
      'USAGE',
      'Name the server to wrap after --, e.g. `agent-runtime wrap -- node server.js`.',
    );
  }
  const name = flags.name ?? nameOf(words);
  if (!NAME.test(name) || name === RESERVED) {
    throw new RuntimeError(
      'USAGE',
      '--name must be small letters, digits and -, begin with a letter, and not be `agent`.',
    );
  }
  return {
    name,
    command,
    args,
    root: rootOf(flags.root, args, workspace),
    hosts: flags.allowHost ?? [],
    env: [...new Set([...ALWAYS, ...(flags.passEnv ?? [])])],
    key: digestJson({ name, command, args }).slice('sha256:'.length, 'sha256:'.length + 32),
  };
}
