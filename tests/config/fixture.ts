// A configuration directory for a test: the bundled files, with some replaced, edited or removed.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { loadConfig, loadWithEffective } from '../../src/config/load.ts';
import type { LoadedConfig, LoadOptions } from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problems.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';

export const PACKAGE_ROOT: string = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');
export const BUNDLED: string = join(PACKAGE_ROOT, 'configs');

/** The whole new text, an edit of the bundled text, or undefined for no such file. */
export type Change = string | ((text: string) => string) | undefined;

export async function directoryWith(changes: Record<string, Change> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'config-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await cp(BUNDLED, directory, { recursive: true });
  for (const [name, change] of Object.entries(changes)) {
    const path = join(directory, name);
    if (change === undefined) await rm(path);
    else await writeFile(path, typeof change === 'string' ? change : change(await readFile(path, 'utf8')));
  }
  return directory;
}

export function options(directory: string, env: LoadOptions['env'] = {}): LoadOptions {
  return { directory, workspace: '/work/space', env, packageRoot: PACKAGE_ROOT };
}

export async function load(
  changes: Record<string, Change> = {},
  env: LoadOptions['env'] = {},
): Promise<RuntimeConfig> {
  return loadConfig(options(await directoryWith(changes), env));
}

export async function loadAll(
  changes: Record<string, Change> = {},
  env: LoadOptions['env'] = {},
): Promise<LoadedConfig> {
  return loadWithEffective(options(await directoryWith(changes), env));
}

/** What loading refuses; fails when it does not refuse, or with anything but CONFIGURATION_ERROR. */
export async function refusal(
  changes: Record<string, Change>,
  env: LoadOptions['env'] = {},
): Promise<{ error: RuntimeError; problems: Problem[] }> {
  return refusalAt(await directoryWith(changes), env);
}

export async function refusalAt(
  directory: string,
  env: LoadOptions['env'] = {},
): Promise<{ error: RuntimeError; problems: Problem[] }> {
  try {
    await loadConfig(options(directory, env));
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'CONFIGURATION_ERROR') throw error;
    return { error, problems: error.details['problems'] as Problem[] };
  }
  throw new Error('the configuration was accepted');
}

/** Replaces text that must be there. */
export function swap(from: string, to: string): (text: string) => string {
  return (text) => {
    if (!text.includes(from)) throw new Error(`the bundled file does not hold ${from}`);
    return text.replace(from, () => to);
  };
}

/** Line and column of the first occurrence of a text, from 1. */
export function locate(text: string, needle: string): { line: number; column: number } {
  const at = text.indexOf(needle);
  if (at < 0) throw new Error(`not found: ${needle}`);
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}
