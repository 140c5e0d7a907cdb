// Owns the folder in which a wrapped server's configuration is written, so that the one loader reads it like any other: in
// the user's own state directory, named by its content, complete before it has its name.
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { digestJson } from '../../base/digest.ts';
import type { JsonObject } from '../../base/json.ts';
import type { ToolPin } from '../../capabilities/pin-file.ts';
import { loadConfig } from '../../config/load.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { Context } from '../context.ts';
import type { ToolClass } from './classes.ts';
import { wrapDocuments } from './documents.ts';
import type { WrapTarget } from './target.ts';

const TAKEN = new Set(['EEXIST', 'ENOTEMPTY', 'EPERM']);

async function loadDocuments(
  context: Context,
  documents: Readonly<Record<string, JsonObject>>,
): Promise<RuntimeConfig> {
  const { stateDirectory, packageRoot, workspace, env, ids } = context;
  const parent = join(stateDirectory, 'wrap', 'configs');
  const bundled = join(packageRoot, 'configs');
  const directory = join(parent, digestJson(documents).slice('sha256:'.length, 'sha256:'.length + 40));
  await mkdir(parent, { recursive: true, mode: 0o700 });
  if (!(await readdir(parent)).includes(basename(directory))) {
    const draft = join(parent, `.${ids.next('inst')}`);
    await cp(bundled, draft, { recursive: true, filter: (from) => from !== join(bundled, 'tools') });
    for (const [name, document] of Object.entries(documents)) {
      // JSON is YAML.
      await writeFile(join(draft, name), `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
    }
    try {
      await rename(draft, directory);
    } catch (error) {
      // Another start of the same server was quicker; its folder has the same content.
      await rm(draft, { recursive: true, force: true });
      if (!TAKEN.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return loadConfig({ directory, workspace, env, packageRoot });
}

/**
 * The person who typed the command chose this configuration by it, so nobody is asked to trust it. Where the program is
 * started is no part of the documents: what was accepted in one directory holds in every other.
 */
export async function loadGenerated(
  context: Context,
  target: WrapTarget,
  pins: Readonly<Record<string, ToolPin>>,
  classes: ReadonlyMap<string, ToolClass>,
): Promise<RuntimeConfig> {
  const config = await loadDocuments(context, wrapDocuments(target, pins, classes));
  const server = config.servers[target.name];
  if (target.way.transport === 'http' || server === undefined) return config;
  const started = { ...server, startedIn: target.way.directory };
  return { ...config, servers: { ...config.servers, [target.name]: started } };
}
