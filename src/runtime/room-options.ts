// Owns what the rooms are given of a configuration: tokens of paths, secrets to keep out of records, confinement, pool.
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { DownstreamOptions } from '../capabilities/downstreams.ts';
import type { PathTokens } from '../capabilities/pin-file.ts';
import { looksSecret } from '../config/files/servers.ts';
import type { RuntimeConfig, ValueSource } from '../config/types.ts';
import { createRedactor } from '../kernel/evidence/redact.ts';
import type { LearningRedactor } from '../kernel/evidence/redact.ts';
import { credentialsIn } from '../kernel/evidence/secret-parts.ts';
import type { Sandbox } from '../kernel/sandbox/contract.ts';
import type { ConfineOptions } from '../kernel/sandbox/launch.ts';
import { createSandbox } from '../kernel/sandbox/spawn.ts';
import { holdLock } from '../store/documents/file-lock.ts';
import type { Log, RuntimeOptions } from './options.ts';

const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');

export function pathTokens(options: RuntimeOptions): PathTokens {
  return [
    { path: options.config.policy.sandbox.root, token: '{sandbox}' },
    { path: options.workspace, token: '{workspace}' },
    { path: PACKAGE_ROOT, token: '{package}' },
  ];
}

/** What cannot be read is told by the start of the server that needs it; what is read then is learned then. */
async function secretOf(source: ValueSource, env: RuntimeOptions['env']): Promise<string> {
  if ('value' in source) return '';
  if ('fromEnv' in source) return env[source.fromEnv] ?? '';
  try {
    // What is no file gives its value once, to the server.
    if (!(await stat(source.fromFile)).isFile()) return '';
    return (await readFile(source.fromFile, 'utf8')).replace(/\r?\n$/, '');
  } catch {
    return '';
  }
}

/** Values that must never be written: the keys that model profiles name, and what servers are given from outside. */
export async function redactorOf(
  config: RuntimeConfig,
  env: RuntimeOptions['env'],
): Promise<LearningRedactor> {
  const keys = Object.values(config.models.profiles).flatMap(({ apiKeyEnv: name }) =>
    name === undefined ? [] : [env[name] ?? ''],
  );
  const given = Object.values(config.servers).flatMap((server) =>
    [...Object.values(server.env), ...Object.values(server.headers ?? {})].map(async (one) => {
      const value = await secretOf(one, env);
      // Which part of it is secret is told by the scheme before it.
      return 'prefix' in one ? [value, `${one.prefix ?? ''}${value}`] : [value];
    }),
  );
  // Most of what is passed on by name is no secret, as a path or a language, and stands in many a text; it may hold one.
  const passed = Object.values(config.servers).flatMap(({ envAllow }) =>
    envAllow.flatMap((name) => {
      const value = env[name] ?? '';
      return looksSecret(name, value) ? [value] : credentialsIn(value);
    }),
  );
  const secrets = [...keys, ...passed, ...(await Promise.all(given)).flat()];
  return createRedactor({ secrets, ...config.runtime.redaction });
}

/** What servers are given from files is known before they have it, and kept out of what they say of their own end. */
export function secretsOut(redactor: LearningRedactor): Pick<DownstreamOptions, 'onSecret' | 'redact'> {
  return { onSecret: (value) => redactor.learn(value), redact: (text) => redactor.text(text) };
}

/** State, configuration and keys are empty in every sandbox, whatever its profile binds. */
export function sandboxOf(
  options: RuntimeOptions,
  { ids, clock }: { ids: Ids; clock: Clock },
  log: Log,
): Sandbox {
  const { config, workspace, stateDirectory } = options;
  const state = join(workspace, '.agent-runtime');
  const { directory, realDirectory = directory } = config;
  const places = [...new Set([directory, realDirectory])];
  const configs = places.flatMap((place) => [place, join(dirname(place), '.agent-runtime')]);
  const confine: ConfineOptions = {
    masked: [state, ...configs, stateDirectory],
    packageRoot: PACKAGE_ROOT,
    homes: join(state, 'sandboxes'),
    lock: (path) => holdLock(path, { ids, clock }),
    ids,
    onUnconfined: (server, reason) => {
      log('warn', 'a server runs without the sandbox that its profile asks for', { server, reason });
    },
  };
  return createSandbox({ clock, environment: options.env, confine });
}

/** For whom this process looks at servers, and how many connections it keeps for how long. */
export function poolOptions({
  policy,
  controls,
}: RuntimeConfig): Pick<DownstreamOptions, 'policyDigest' | 'idleMs' | 'maxOpen' | 'policy'> {
  const { capabilitySessions: sessions } = controls;
  const root = { uri: pathToFileURL(policy.sandbox.root).href, name: 'sandbox' };
  return {
    policyDigest: policy.digest,
    idleMs: sessions.idleSeconds * 1000,
    maxOpen: sessions.maxOpen,
    policy: {
      elicitation: sessions.elicitation,
      sampling: sessions.sampling === 'client',
      roots: { refuse: undefined, sandbox: [root], client: 'client' as const }[sessions.roots],
    },
  };
}
