// Owns the intersection of scopes. I1: what the result contains, both sides contain, and the other way round.
import { RuntimeError } from '../../base/errors.ts';
import { networkIntersection } from './network.ts';
import { patternCovers, patternsMeet } from './pattern.ts';
import type { PathPattern } from './pattern.ts';
import type { PathScope, ScopeSet } from './scope.ts';

const MAX_ALTERNATIVES = 4096;

/** The patterns of both, without those that another one already implies. */
function join(a: readonly PathPattern[], b: readonly PathPattern[]): readonly PathPattern[] {
  const kept: PathPattern[] = [];
  const all = [...a, ...b];
  all.forEach((pattern, at) => {
    const isImplied = all.some(
      (other, index) =>
        index !== at && patternCovers(pattern, other) && (index < at || !patternCovers(other, pattern)),
    );
    if (!isImplied) kept.push(pattern);
  });
  return kept;
}

/** Alternatives that no path can meet are left out, so an empty list is the only empty scope. */
export function intersectPaths(a: PathScope, b: PathScope): PathScope {
  if (a.length * b.length > MAX_ALTERNATIVES) {
    throw new RuntimeError(
      'CONFIGURATION_ERROR',
      `scopes intersect to more than ${MAX_ALTERNATIVES} alternatives`,
    );
  }
  const out = new Map<string, readonly PathPattern[]>();
  for (const left of a) {
    for (const right of b) {
      const patterns = join(left, right);
      const key = patterns.map((pattern) => pattern.text).join('\n');
      if (!out.has(key) && patternsMeet(patterns)) out.set(key, patterns);
    }
  }
  return [...out.values()];
}

export function intersect(a: ScopeSet, b: ScopeSet): ScopeSet {
  return {
    read: intersectPaths(a.read, b.read),
    write: intersectPaths(a.write, b.write),
    network: networkIntersection(a.network, b.network),
  };
}
