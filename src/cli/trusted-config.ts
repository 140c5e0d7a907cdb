// Owns loading the configuration of a command, and the file in which trust is kept. Nothing is started here.
import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { LoadOptions } from '../config/load.ts';
import { addTrust, EMPTY_TRUST, holdsTrust, requireTrust, trustDocument } from '../config/trust.ts';
import type { TrustStore } from '../config/trust.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { ConfigSource } from '../runtime/options.ts';
import { openDocument } from '../store/documents/document.ts';
import { assertStateOutside } from './context.ts';
import type { Context } from './context.ts';
import { localCaller } from './identity.ts';

export function loadOptions(context: Context): LoadOptions {
  const { configDirectory, workspace, env, packageRoot } = context;
  return { directory: configDirectory, workspace, env, packageRoot };
}

export function openTrustStore(context: Context): TrustStore {
  assertStateOutside(context);
  const document = openDocument({
    path: join(context.stateDirectory, 'trust.json'),
    schema: trustDocument,
    empty: EMPTY_TRUST,
  });
  return {
    isTrusted: async (workspace, digest) => holdsTrust(await document.read(), workspace, digest),
    async trust(workspace, digest, at) {
      await document.update((current) => addTrust(current, workspace, digest, at));
    },
    list: async () => (await document.read()).trusted,
  };
}

/** The configuration, whoever wrote it: to look at, and to decide without effect. */
export function loadAny(context: Context): Promise<RuntimeConfig> {
  return loadConfig(loadOptions(context));
}

/** The configuration, if a person trusts it here or it is the bundled example. Throws WORKSPACE_NOT_TRUSTED. */
export async function loadTrusted(context: Context): Promise<RuntimeConfig> {
  assertStateOutside(context); // whoever needs trust carries something out, under the keys that lie there
  const config = await loadAny(context);
  // The package's own directory is the bundled example; loading it a second time to compare would tell nothing.
  if (config.directory === join(context.packageRoot, 'configs')) return config;
  await requireTrust(config, context.workspace, openTrustStore(context), context.packageRoot);
  return config;
}

/** The same files again, trusted or not at all, for a process that serves them. */
export function sourceOf(context: Context, { identity }: RuntimeConfig): ConfigSource {
  return { load: () => loadTrusted(context), principal: localCaller(identity).principal };
}
