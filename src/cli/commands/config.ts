// Owns `config check | print | schema | reload`.
import { join } from 'node:path';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { loadWithEffective } from '../../config/load.ts';
import { jsonSchemas, writeSchemas } from '../../config/schemas.ts';
import { judgeTrust } from '../../config/trust.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import { registerNames } from '../../kernel/catalog/catalog.ts';
import { createGate } from '../../kernel/policy/gate.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { cell, facts, table } from '../print.ts';
import { loadAny, loadOptions, openTrustStore } from '../trusted-config.ts';

/** Everything that would refuse this configuration at start, without starting. */
async function loadChecked(context: Context): Promise<{ config: RuntimeConfig; trust: string }> {
  const config = await loadAny(context);
  createGate(config);
  registerNames(config);
  const { workspace, packageRoot } = context;
  return { config, trust: await judgeTrust(config, workspace, openTrustStore(context), packageRoot) };
}

export async function checkConfig(context: Context): Promise<Exit> {
  try {
    const { config, trust } = await loadChecked(context);
    const { directory, digest } = config;
    const told = { ok: true, directory, digest, policy_digest: config.policy.digest, trust };
    await context.print.result(told, () => facts(Object.entries(told)));
    return EXIT.ok;
  } catch (thrown) {
    const error = asRuntimeError(thrown);
    if (error.code !== 'CONFIGURATION_ERROR') throw thrown;
    const { directory, problems = [], count } = error.details;
    if (context.print.json) {
      await context.print.result({ ok: false, directory, count, message: error.message, problems }, () => '');
    } else {
      context.print.error(error);
    }
    return EXIT.check;
  }
}

export async function printConfig(context: Context): Promise<Exit> {
  const { config, effective } = await loadWithEffective(loadOptions(context));
  const told = {
    directory: config.directory,
    digest: config.digest,
    policy_digest: config.policy.digest,
    values: effective,
  };
  await context.print.result(told, async () => {
    const rows = effective.map(({ key, value, layer }) => [key, value, layer]);
    const head = `# ${cell(config.directory, 1000)}\n# digest ${config.digest}`;
    return `${head}\n${await table(['key', 'value', 'from'], rows, 200)}`;
  });
  return EXIT.ok;
}

export interface SchemaOptions extends CommonOptions {
  write?: boolean;
}

export async function configSchema(context: Context, options: SchemaOptions): Promise<Exit> {
  const schemas = jsonSchemas();
  if (options.write !== true) {
    await context.print.result(schemas, () => JSON.stringify(schemas, null, 2));
    return EXIT.ok;
  }
  if (context.configSource === 'bundled') {
    throw new RuntimeError(
      'USAGE',
      'This workspace has no configs/ to write to; run `agent-runtime init` first.',
    );
  }
  const directory = join(context.configDirectory, 'schema');
  const written = await writeSchemas(directory);
  await context.print.result({ directory, written }, () =>
    written.map((name) => `wrote ${join(directory, name)}`).join('\n'),
  );
  return EXIT.ok;
}

/** A running server keeps what it loaded; this says whether a restart would take the files as they are now. */
export async function reloadConfig(context: Context): Promise<Exit> {
  const { config, trust } = await loadChecked(context);
  const told = {
    directory: config.directory,
    digest: config.digest,
    trust,
    applied: false,
    restart: ['every `agent-runtime serve` of this workspace'],
  };
  await context.print.result(told, () =>
    [
      `The files are a valid configuration: ${config.digest}`,
      trust === 'untrusted'
        ? 'Nobody here has trusted it yet: run `agent-runtime trust` before restarting, or nothing will start.'
        : `Trust: ${trust}.`,
      'Running servers keep what they loaded. Restart every `agent-runtime serve` of this workspace to take it;',
      'approvals that were given under the old policy are asked for again.',
    ].join('\n'),
  );
  return EXIT.ok;
}
