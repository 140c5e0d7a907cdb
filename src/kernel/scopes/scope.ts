// Owns compiled scopes: what one layer, or an intersection of layers, lets a call reach, per kind.
import type { Scope } from '../../config/types.ts';
import { allowlist, FULL_NETWORK, networkUnion, NO_NETWORK } from './network.ts';
import type { NetworkScope } from './network.ts';
import { matchesPattern, parsePattern, pathSegments } from './pattern.ts';
import type { PathPattern } from './pattern.ts';

/** Alternatives; each is a list of patterns that must all take the path. Empty: nothing. */
export type PathScope = readonly (readonly PathPattern[])[];

export interface ScopeSet {
  readonly read: PathScope;
  readonly write: PathScope;
  readonly network: NetworkScope;
}

/** Between the patterns of one alternative in the text of a scope; no pattern may hold it. */
const BOTH = ' & ';

function pathScope(scopes: readonly Scope[], access: 'read' | 'write', root: string): PathScope {
  return scopes.flatMap((scope) =>
    scope.type === 'path' && scope.access === access
      ? [scope.pattern.split(BOTH).map((pattern) => parsePattern(pattern, root))]
      : [],
  );
}

/** Throws CONFIGURATION_ERROR for a pattern or host that cannot be read in exactly one way. */
export function compileScopes(scopes: readonly Scope[], root: string): ScopeSet {
  let network = NO_NETWORK;
  for (const scope of scopes) {
    if (scope.type !== 'network' || scope.posture === 'off') continue;
    const granted = scope.posture === 'allowlist' ? allowlist(scope.entries) : FULL_NETWORK;
    network = networkUnion(network, granted);
  }
  return { read: pathScope(scopes, 'read', root), write: pathScope(scopes, 'write', root), network };
}

export function containsPath(scope: PathScope, path: string): boolean {
  const segments = pathSegments(path);
  return scope.some((patterns) => patterns.every((pattern) => matchesPattern(pattern, segments)));
}

/** As configuration writes it. Where no single pattern says it, the patterns are joined by ` & `: all must hold. */
export function showScopes(scope: ScopeSet): Scope[] {
  const paths = (['read', 'write'] as const).flatMap((access) =>
    scope[access].map((patterns): Scope => {
      return { type: 'path', pattern: patterns.map((pattern) => pattern.text).join(BOTH), access };
    }),
  );
  const { posture, hosts } = scope.network;
  if (posture === 'off') return paths;
  return [
    ...paths,
    posture === 'full'
      ? { type: 'network', posture }
      : { type: 'network', posture, entries: [...hosts].sort() },
  ];
}
