// Owns what no tool may touch: the state directory and the configuration directory, however they are spelt.
import { RuntimeError } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import { matchesSegment, pathSegments, patternsMeet } from './pattern.ts';
import type { PathPattern } from './pattern.ts';
import type { PathScope } from './scope.ts';

export const STATE_DIRECTORY = '.agent-runtime';

/** Compared without case, form and trailing dots or blanks: file systems differ in what they fold. */
function folded(segment: string): string {
  return segment
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[. ]+$/, '');
}

/** A directory that is reached through a link is reserved under both of its names. */
type ConfigPlace = Pick<RuntimeConfig, 'directory' | 'realDirectory'>;

export interface Reserved {
  /** Configuration directory, and the state directories beside and inside it. */
  readonly directories: readonly (readonly string[])[];
  readonly patterns: readonly PathPattern[];
}

export function reservedDirectories({ directory, realDirectory = directory }: ConfigPlace): Reserved {
  const directories = [...new Set([directory, realDirectory])].flatMap((place) => {
    const config = pathSegments(place);
    return [config, [...config.slice(0, -1), STATE_DIRECTORY]];
  });
  const patterns = directories.map((segments): PathPattern => {
    return { text: `/${segments.join('/')}/**`, segments: [...segments, '**'] };
  });
  return { directories: directories.map((segments) => segments.map(folded)), patterns };
}

/** Whether a real path is in a reserved directory; any directory named like the state directory is. */
export function isReserved(reserved: Reserved, path: string): boolean {
  const segments = pathSegments(path).map(folded);
  if (segments.includes(STATE_DIRECTORY)) return true;
  return reserved.directories.some(
    (directory) =>
      directory.length <= segments.length && directory.every((name, at) => segments[at] === name),
  );
}

/** Refuses a write scope that reaches, or names, a reserved directory, also through `*` and `**`. */
export function assertUnreserved(reserved: Reserved, write: PathScope, owner: string): void {
  for (const pattern of write.flat()) {
    const isNamed = pattern.segments.some(
      (segment) => !/^\*+$/.test(segment) && matchesSegment(folded(segment), STATE_DIRECTORY),
    );
    if (!isNamed && !reserved.patterns.some((directory) => patternsMeet([pattern, directory]))) continue;
    throw new RuntimeError(
      'CONFIGURATION_ERROR',
      `${owner}: the write scope ${JSON.stringify(pattern.text)} covers a reserved directory (${STATE_DIRECTORY} or the configuration); name the folders it really writes`,
      { field: 'scopes', rule_id: 'kernel.scope.reserved-path', pattern: pattern.text },
    );
  }
}

/** For patterns that cannot be read: the same rule id. */
export function parseOwnScope<T>(owner: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    throw new RuntimeError(error.code, `${owner}: ${error.message}`, {
      ...error.details,
      rule_id: 'kernel.scope.reserved-path',
    });
  }
}
