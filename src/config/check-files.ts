// Owns the check that the files of others which a configuration names are there. A start does without it: a script or a
// server that is missing harms only the turn or the call that needs it.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FoundParts } from './parts.ts';
import type { Problems } from './problems.ts';
import type { RuntimeConfig } from './types.ts';

const FROM_PACKAGE = /^\{(?:package|module)\b/;

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function checkScripts({ parts }: FoundParts, directory: string, problems: Problems): void {
  for (const { name, script } of parts.runtime?.pack?.models.values() ?? []) {
    if (script === undefined || isFile(join(directory, script))) continue;
    const path = ['agent_runtime', 'models', name, 'script'];
    problems.add('runtime.yaml', path, `there is no file ${join(directory, script)}`);
  }
}

function checkServerFiles(
  { parts }: FoundParts,
  servers: RuntimeConfig['servers'],
  problems: Problems,
): void {
  for (const { name, command = '', args } of parts.servers?.values() ?? []) {
    const { command: program = '', args: expanded = [] } = servers[name] ?? {};
    const named = [
      { written: command, path: program, key: ['command'] },
      ...args.map((written, at) => ({ written, path: expanded[at] ?? '', key: ['args', at] })),
    ];
    for (const { written, path, key } of named) {
      if (!FROM_PACKAGE.test(written) || existsSync(path)) continue;
      problems.add('servers.yaml', ['servers', name, ...key], `there is no file ${path}`);
    }
  }
}

/** Notes each script of a model, and each file of an installed package that a server is started with, that is not there. */
export function checkFiles(
  found: FoundParts,
  config: Pick<RuntimeConfig, 'directory' | 'servers'>,
  problems: Problems,
): void {
  checkScripts(found, config.directory, problems);
  checkServerFiles(found, config.servers, problems);
}
