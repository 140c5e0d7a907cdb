// Owns the values that servers.yaml sets for a server, for a child's environment or for headers: literal, from our
// environment, or from a file, read at each start and put into no message.
import { readFile } from 'node:fs/promises';
import { RuntimeError } from '../base/errors.ts';
import type { DownstreamServer, ValueSource } from '../config/types.ts';
import type { Environment } from '../kernel/sandbox/environment.ts';

export interface Outside {
  environment: Environment;
  /** Told of what a file gave, which may be another value than at the start before, and before the server has it. */
  onSecret?: (value: string) => void;
}

/** Throws MISSING_ENVIRONMENT naming the variable, or CONFIGURATION_ERROR naming the server's key; never a value. */
export async function resolveValues(
  server: DownstreamServer,
  part: 'env' | 'headers',
  { environment: ambient, onSecret }: Outside,
): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const [name, source] of Object.entries(server[part] ?? {})) {
    const value = await valueOf(source, { server: server.name, field: `${part}.${name}`, ambient });
    if ('fromFile' in source) onSecret?.(value);
    out[name] = value;
  }
  return out;
}

async function valueOf(
  source: ValueSource,
  { server, field, ambient }: { server: string; field: string; ambient: Environment },
): Promise<string> {
  if ('value' in source) return source.value;
  if ('fromFile' in source) {
    try {
      return (await readFile(source.fromFile, 'utf8')).replace(/\r?\n$/, '');
    } catch {
      throw new RuntimeError(
        'CONFIGURATION_ERROR',
        `the file that ${field} of the server ${server} names cannot be read`,
        { field: `servers.${server}.${field}` },
      );
    }
  }
  const value = ambient[source.fromEnv];
  if (value === undefined) {
    throw new RuntimeError(
      'MISSING_ENVIRONMENT',
      `the server ${server} needs the environment variable ${source.fromEnv}, which is not set`,
      { variable: source.fromEnv, server },
    );
  }
  return (source.prefix ?? '') + value;
}
