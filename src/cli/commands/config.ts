// Owns `config check | print | schema`, and what every look at a configuration checks.
import { join } from 'node:path';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { loadWithEffective } from '../../config/load.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { jsonSchemas, writeSchemas } from '../../config/schemas.ts';
import { judgeTrust } from '../../config/trust.ts';
import type { TrustVerdict } from '../../config/trust.ts';
import { registerNames } from '../../kernel/catalog/catalog.ts';
import { conflictText } from '../../kernel/policy/approver-conflicts.ts';
import { createGate } from '../../kernel/policy/gate.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { cell, facts, table } from '../print.ts';
import { assertConditions } from '../rule-problems.ts';
import { loadOptions, openTrustStore } from '../trusted-config.ts';

/** Everything that would refuse this configuration at start, without starting; the files that it names on demand. */
export async function loadChecked(
  context: Context,
  filesToo: boolean = false,
): Promise<LoadedConfig & { trust: TrustVerdict; warnings: string[] }> {
  const { config, effective } = await loadWithEffective({ ...loadOptions(context), filesToo });
  await assertConditions(config);
  const warnings = createGate(config).conflicts().map(conflictText);
  registerNames(config);
  const { workspace, packageRoot } = context;
  const trust = await judgeTrust(config, workspace, openTrustStore(context), packageRoot);
  return { config, effective, trust, warnings };
}

/** What is wrong with the files, place by place, as the answer of a check; any other failure is thrown on. */
export async function tellProblems(context: Context, thrown: unknown): Promise<Exit> {
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

export async function checkConfig(context: Context): Promise<Exit> {
  try {
    const { config, effective, trust, warnings } = await loadChecked(context, true);
    const { directory, digest } = config;
    const { version, digest: decided } = config.policy;
    const told = { ok: true, directory, digest, policy_version: version, policy_digest: decided, trust };
    const values = 'agent-runtime config print shows each, with its layer';
    await context.print.result({ ...told, warnings, values: effective }, () => {
      const warned = warnings.map((one) => ['warning', one] as const);
      return facts([...Object.entries({ ...told, values }), ...warned]);
    });
    return EXIT.ok;
  } catch (thrown) {
    return tellProblems(context, thrown);
  }
}

export async function printConfig(context: Context): Promise<Exit> {
  const { config, effective } = await loadWithEffective(loadOptions(context));
  const told = {
    directory: config.directory,
    digest: config.digest,
    policy_version: config.policy.version,
    policy_digest: config.policy.digest,
    values: effective,
  };
  await context.print.result(told, async () => {
    const rows = effective.map(({ key, value, layer }) => [key, value, layer]);
    const head = `# ${cell(config.directory, 1000)}\n# digest ${config.digest}\n# policy ${cell(told.policy_version, 500)}, ${told.policy_digest}`;
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
