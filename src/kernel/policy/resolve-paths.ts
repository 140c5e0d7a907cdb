// Owns the one look at the file system before deciding: where each path argument really leads. Every prefix is
// resolved by the kernel, so `link/../x` means what it will mean at the open. What cannot be judged is a problem.
import { lstat, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, parse, sep } from 'node:path';
import type { JsonObject } from '../../base/json.ts';
import type { Capability, RuntimeConfig } from '../../config/types.ts';
import { directoryOfTool } from '../../config/working-directory.ts';
import type { ResolvedPath } from './decision.ts';
import { pathArgumentsOf } from './paths.ts';
import { misspelt } from './path-text.ts';
import type { PathArgument } from './paths.ts';

const MAX_PATHS = 256;

type Found = { path: string; exists: boolean } | { problem: string };

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'unknown error';
}

/** One more component beneath a directory that is already real. */
async function step(path: string): Promise<Found> {
  try {
    return { path: await realpath(path), exists: true };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return { problem: `cannot be resolved (${codeOf(error)})` };
  }
  try {
    await lstat(path);
    return { problem: 'leads through a link to nothing' };
  } catch (error) {
    return codeOf(error) === 'ENOENT'
      ? { path, exists: false }
      : { problem: `cannot be resolved (${codeOf(error)})` };
  }
}

async function resolveOne(absolute: string): Promise<Found> {
  const { root } = parse(absolute);
  let at: Found = { path: root, exists: true };
  for (const name of absolute.slice(root.length).split(sep === '/' ? '/' : /[\\/]/)) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (!at.exists) return { problem: 'goes up from a directory that does not exist' };
      at = { path: dirname(at.path), exists: true };
    } else if (at.exists) {
      const next: Found = await step(join(at.path, name));
      if ('problem' in next) return next;
      at = next;
    } else {
      at = { path: join(at.path, name), exists: false };
    }
  }
  return at;
}

async function kindProblem(path: string, access: 'read' | 'write'): Promise<string | undefined> {
  const found = await lstat(path);
  if (found.isDirectory()) return undefined;
  if (!found.isFile()) return 'is neither a regular file nor a directory';
  return access === 'write' && found.nlink > 1
    ? 'has other names (hard links), which a write would change'
    : undefined;
}

interface Places {
  root: string;
  realRoot: string;
  /** What a relative path is relative to. */
  from: string;
}

async function resolveArgument(
  argument: PathArgument,
  { root, realRoot, from }: Places,
): Promise<ResolvedPath> {
  const refused = misspelt(argument.given);
  if (refused !== undefined) return { ...argument, problem: refused };
  try {
    const { given } = argument;
    const found = await resolveOne(isAbsolute(given) ? given : `${from}${sep}${given}`);
    if ('problem' in found) return { ...argument, problem: found.problem };
    const problem = found.exists ? await kindProblem(found.path, argument.access) : undefined;
    // The configured root may itself lead through a link; the policy speaks of the configured one.
    const isInside = found.path === realRoot || found.path.startsWith(`${realRoot}${sep}`);
    const resolved = isInside ? `${root}${found.path.slice(realRoot.length)}` : found.path;
    return { ...argument, resolved, ...(problem === undefined ? {} : { problem }) };
  } catch (error) {
    return { ...argument, problem: `cannot be resolved (${codeOf(error)})` };
  }
}

/**
 * Where every path argument of a call leads, a relative one from where the tool's server works. Never throws for what a
 * caller sent; the gate denies each problem.
 */
export async function resolvePaths(
  args: JsonObject,
  capability: Capability,
  config: Pick<RuntimeConfig, 'policy' | 'servers'>,
): Promise<ResolvedPath[]> {
  const found = pathArgumentsOf(args, capability);
  if (found.length === 0) return [];
  if (found.length > MAX_PATHS) {
    return found.map((argument) => ({ ...argument, problem: `is one of more than ${MAX_PATHS} paths` }));
  }
  const { root } = config.policy.sandbox;
  const own = await resolveOne(root).catch((error: unknown) => ({ problem: codeOf(error) }));
  if ('problem' in own) {
    return found.map((argument) => ({ ...argument, problem: 'the sandbox root cannot be resolved' }));
  }
  const directory = directoryOfTool(config, capability);
  const from = directory === root ? own.path : directory;
  const places = { root, realRoot: own.path, from };
  return Promise.all(found.map((argument) => resolveArgument(argument, places)));
}
