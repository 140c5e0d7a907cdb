// Owns the values that servers.yaml sets for a child: literal, from our environment, or from a file, read at each start
// and put into no message.
import { readFile } from 'node:fs/promises';
import { RuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { Environment } from '../kernel/sandbox/environment.ts';

/** Throws MISSING_ENVIRONMENT naming the variable, or CONFIGURATION_ERROR naming the server's key; never a value. */
export async function resolveEnv(
  server: DownstreamServer,
  ambient: Environment,
): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const [name, source] of Object.entries(server.env)) {
    if ('value' in source) out[name] = source.value;
    else if ('fromEnv' in source) {
      const value = ambient[source.fromEnv];
      if (value === undefined) {
        throw new RuntimeError(
          'MISSING_ENVIRONMENT',
          `the server ${server.name} needs the environment variable ${source.fromEnv}, which is not set`,
          { variable: source.fromEnv, server: server.name },
        );
      }
      out[name] = value;
    } else {
      try {
        out[name] = (await readFile(source.fromFile, 'utf8')).replace(/\r?\n$/, '');
      } catch {
        throw new RuntimeError(
          'CONFIGURATION_ERROR',
          `the file that env.${name} of the server ${server.name} names cannot be read`,
          { field: `servers.${server.name}.env.${name}` },
        );
      }
    }
  }
  return out;
}
