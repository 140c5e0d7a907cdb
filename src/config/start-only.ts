// Owns what of a configuration counts only from the start of a process: who its callers are, and what it listens with.
import { isDeepStrictEqual } from 'node:util';
import { RuntimeError } from '../base/errors.ts';
import type { RuntimeConfig } from './types.ts';

/** As the files name them. A connection that is open was made with all of these. */
const START_ONLY: Readonly<Record<string, (config: RuntimeConfig) => unknown>> = {
  'runtime.yaml: runtime.http': ({ runtime }) => runtime.http,
  'runtime.yaml: runtime.max_line_bytes': ({ runtime }) => runtime.maxLineBytes,
  'identity.yaml: identity.stdio': ({ identity }) => identity.stdio,
  'identity.yaml: identity.principals': ({ identity }) => identity.principals,
};

/** Throws RESTART_NEEDED, with the names, when the two differ in what a running process cannot take. */
export function assertTakenRunning(running: RuntimeConfig, next: RuntimeConfig): void {
  const changed = Object.entries(START_ONLY)
    .filter(([, of]) => !isDeepStrictEqual(of(running), of(next)))
    .map(([name]) => name);
  if (changed.length === 0) return;
  throw new RuntimeError(
    'RESTART_NEEDED',
    `These count only from a start, and nothing else was taken either: ${changed.join('; ')}. A restart is needed.`,
    { changed },
  );
}
