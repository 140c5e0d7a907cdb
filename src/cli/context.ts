// Owns where a command works: workspace, configuration directory and the user's own state directory, from flags, then the
// environment, then defaults.
import { existsSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { randomIds } from '../base/ids.ts';
import type { Ids } from '../base/ids.ts';
import type { Printer } from './print.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** What every command takes. */
export interface CommonOptions {
  workspace?: string;
  config?: string;
  json?: boolean;
}

export interface Context {
  /** Absolute and real: trust is kept by this name. */
  readonly workspace: string;
  readonly configDirectory: string;
  readonly configSource: 'flag' | 'environment' | 'workspace' | 'bundled';
  readonly stateDirectory: string;
  /** Root of this package. */
  readonly packageRoot: string;
  readonly env: Env;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly print: Printer;
}

/** Both dist/cli and src/cli lie two below the package. */
export function packageRoot(): string {
  return fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

function workspaceOf(options: CommonOptions, env: Env): string {
  const named = given(options.workspace) ?? given(env.AGENT_RUNTIME_WORKSPACE) ?? '.';
  const path = resolve(named);
  if (!existsSync(path) || !statSync(path).isDirectory()) {
    throw new RuntimeError('NOT_FOUND', `The workspace ${path} is not a directory.`, { workspace: path });
  }
  return realpathSync(path);
}

// A configuration cannot be without these; where one lies, the folder is meant to be one.
const NEEDED = ['agent.yaml', 'capabilities.yaml', 'policy.yaml'] as const;

function configOf(
  options: CommonOptions,
  env: Env,
  workspace: string,
): Pick<Context, 'configDirectory' | 'configSource'> {
  const flag = given(options.config);
  if (flag !== undefined) return { configDirectory: resolve(flag), configSource: 'flag' };
  const named = given(env.AGENT_RUNTIME_CONFIG);
  if (named !== undefined) return { configDirectory: resolve(named), configSource: 'environment' };
  const own = join(workspace, 'configs');
  if (NEEDED.some((name) => existsSync(join(own, name)))) {
    return { configDirectory: own, configSource: 'workspace' };
  }
  return { configDirectory: join(packageRoot(), 'configs'), configSource: 'bundled' };
}

/** The real path of what exists, and the rest as written. */
function realOf(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(realOf(parent), basename(path));
}

function stateOf(env: Env): string {
  const base = given(env.XDG_STATE_HOME);
  // A relative XDG path is to be ignored, says its specification.
  const home = base !== undefined && isAbsolute(base) ? base : join(homedir(), '.local', 'state');
  return realOf(resolve(given(env.AGENT_RUNTIME_STATE) ?? join(home, 'agent-runtime')));
}

/** Throws USAGE when keys and trust would lie where tools and the workspace's own files can reach them. */
export function assertStateOutside({ workspace, stateDirectory: path }: Context): void {
  const way = relative(workspace, path);
  if (way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))) {
    throw new RuntimeError(
      'USAGE',
      `The state directory ${path} lies in the workspace; keys and trust must lie outside. Set AGENT_RUNTIME_STATE.`,
      { state_directory: path, workspace },
    );
  }
}

/** Throws NOT_FOUND or USAGE when a place cannot be what it is said to be. */
export function createContext(options: CommonOptions, env: Env, print: Printer): Context {
  const workspace = workspaceOf(options, env);
  return {
    workspace,
    ...configOf(options, env, workspace),
    stateDirectory: stateOf(env),
    packageRoot: packageRoot(),
    env,
    clock: systemClock,
    ids: randomIds,
    print,
  };
}
