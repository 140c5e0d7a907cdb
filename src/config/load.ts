// Owns loading: a directory of YAML becomes one typed configuration with its digests, or one error with every problem.
// L1: a digest covers the effective words of the files, before tokens and environment; so it is equal on every machine,
//     for every order of keys, with and without comments, and whether a default is written or left out.
// L2: nothing is loaded while a single problem is known.
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { digestJson } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import { checkFiles } from './check-files.ts';
import { effectiveValues } from './effective.ts';
import type { EffectiveValue } from './effective.ts';
import { linkParts } from './link.ts';
import { readParts, scriptDigests } from './parts.ts';
import type { FoundParts } from './parts.ts';
import { Problems } from './problems.ts';
import type { RuntimeConfig } from './types.ts';

/** Where a configuration is loaded from. Paths may be relative to the process's folder. */
export interface LoadOptions {
  /** Where the YAML files are. */
  directory: string;
  workspace: string;
  /** Read only for sandbox.path_template. */
  env: Readonly<Record<string, string | undefined>>;
  /** Root of this package, for {package} and {module:…}. */
  packageRoot: string;
  /** Whether the files that it names must be there as well. */
  filesToo?: boolean;
}

export interface LoadedConfig {
  config: RuntimeConfig;
  effective: EffectiveValue[];
}

// What decides: a change in any other file cannot change a decision.
const DECIDING_FILES: readonly string[] = [
  'agent.yaml',
  'approvals.yaml',
  'capabilities.yaml',
  'identity.yaml',
  'policy.yaml',
  'servers.yaml',
];

/** Tokens of callers may be rotated without touching what is decided. */
function withoutTokens(name: string, tree: JsonObject): JsonObject {
  if (name !== 'identity.yaml') return tree;
  return JSON.parse(
    JSON.stringify(tree, (key, value: unknown) => (key === 'token_sha256' ? undefined : value)),
  ) as JsonObject;
}

async function configDigest(found: FoundParts, directory: string): Promise<string> {
  const files = Object.fromEntries(found.files.map((file) => [file.name, file.tree]));
  const scripts =
    found.parts.runtime === undefined ? {} : await scriptDigests(directory, found.parts.runtime);
  return digestJson({ files, scripts });
}

function policyDigest(found: FoundParts): string {
  const intents = found.files.find((file) => file.name === 'runtime.yaml')?.tree['agent_runtime'];
  const deciding = found.files.filter((file) => DECIDING_FILES.includes(file.name));
  const controls = found.files.find((file) => file.name === 'runtime-controls.yaml')?.tree[
    'runtime_controls'
  ];
  // What confines a tool, and on whose authority it runs, is part of what was decided; how long a run may wait is not.
  const { sandbox_profile: sandbox, delegated_authorization: delegation } = (controls ?? {}) as Record<
    string,
    JsonObject | undefined
  >;
  return digestJson({
    files: Object.fromEntries(deciding.map((file) => [file.name, withoutTokens(file.name, file.tree)])),
    intents: (intents as { intents?: JsonObject } | undefined)?.intents ?? {},
    ...(sandbox === undefined ? {} : { sandbox_profile: sandbox }),
    ...(delegation === undefined ? {} : { delegated_authorization: delegation }),
  });
}

/** Loads, and tells where every value came from. Throws CONFIGURATION_ERROR with all problems in its details. */
export async function loadWithEffective(options: LoadOptions): Promise<LoadedConfig> {
  const directory = resolve(options.directory);
  const real = await realpath(directory).catch(() => directory);
  const place = real === directory ? { directory } : { directory, realDirectory: real };
  const context = {
    ...place,
    workspace: resolve(options.workspace),
    packageRoot: resolve(options.packageRoot),
    env: options.env,
  };
  const problems = new Problems();
  const found = await readParts(directory, problems);
  const linked = linkParts(found.parts, context, problems);
  if (options.filesToo === true && linked !== undefined) checkFiles(found, linked.config, problems);
  problems.throwIfAny(directory);
  if (linked === undefined) throw new RuntimeError('CONFIGURATION_ERROR', 'The configuration is incomplete.');
  const { config, rootFromEnvironment } = linked;
  return {
    config: {
      ...config,
      ...place,
      policy: { ...config.policy, digest: policyDigest(found) },
      digest: await configDigest(found, directory),
    },
    effective: effectiveValues(found.files, {
      root: config.policy.sandbox.root,
      fromEnvironment: rootFromEnvironment,
    }),
  };
}

/** Loads a configuration. Throws CONFIGURATION_ERROR with all problems in its details. */
export async function loadConfig(options: LoadOptions): Promise<RuntimeConfig> {
  return (await loadWithEffective(options)).config;
}

/** The digest that a directory has on disk now, or undefined when its files cannot be read as a configuration. */
export async function directoryDigest(directory: string): Promise<string | undefined> {
  const problems = new Problems();
  const found = await readParts(resolve(directory), problems);
  return problems.count > 0 ? undefined : configDigest(found, resolve(directory));
}

/** Whether the files on disk still are the configuration that was loaded. */
export async function configDrift(config: RuntimeConfig): Promise<'same' | 'changed' | 'unreadable'> {
  const onDisk = await directoryDigest(config.directory);
  if (onDisk === undefined) return 'unreadable';
  return onDisk === config.digest ? 'same' : 'changed';
}
