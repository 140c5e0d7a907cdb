// Owns which arguments are paths, and whether a path as the file system resolves it may be touched. No I/O here:
// resolve-paths.ts asks the file system beforehand.
import type { JsonObject } from '../../base/json.ts';
import type { Capability } from '../../config/types.ts';
import { isReserved } from '../scopes/reserved.ts';
import type { Reserved } from '../scopes/reserved.ts';
import { containsPath } from '../scopes/scope.ts';
import type { ScopeSet } from '../scopes/scope.ts';
import { pathSegments } from '../scopes/pattern.ts';
import type { ResolvedPath } from './decision.ts';
import { guessOf } from './path-text.ts';
import { isBeneath, parsePointer, pointerOf, stringLeaves } from './walk.ts';
import type { Leaf } from './walk.ts';

export interface PathArgument {
  pointer: string;
  given: string;
  access: 'read' | 'write';
  /** Nothing names it a path but a key further up: it must lie in the sandbox, in whatever scope. */
  isGuess?: boolean;
}

export interface PathRules {
  readonly declared: readonly { tokens: readonly string[]; access: 'read' | 'write' }[];
  readonly byName: boolean;
  readonly access: 'read' | 'write';
}

/** By name only where a tool has to do with files, or its server might. */
export function pathRules(capability: Capability): PathRules {
  const hasPathScope = capability.scopes.some((scope) => scope.type === 'path');
  return {
    declared: capability.pathArguments.map(({ pointer, access }) => ({
      tokens: parsePointer(pointer),
      access,
    })),
    byName: hasPathScope || capability.server !== undefined,
    access: capability.mode === 'read' ? 'read' : 'write',
  };
}

/** What may be a path, and is one as far as it looks like it. */
function guessed({ text, trail }: Leaf, access: 'read' | 'write'): PathArgument | undefined {
  const leads = guessOf(text);
  if (leads === undefined) return undefined;
  const found = { pointer: pointerOf(trail), given: text, access };
  return leads === 'away' ? found : { ...found, isGuess: true };
}

function pathArgument(leaf: Leaf, rules: PathRules): PathArgument | undefined {
  if (rules.declared.length > 0) {
    const declared = declaredArgument(leaf, rules);
    if (declared !== undefined) return declared;
  }
  if (!rules.byName || leaf.path === undefined) return undefined;
  if (leaf.path === 'above') return guessed(leaf, rules.access);
  return { pointer: pointerOf(leaf.trail), given: leaf.text, access: rules.access };
}

function declaredArgument(leaf: Leaf, rules: PathRules): PathArgument | undefined {
  const declared = rules.declared.filter(({ tokens }) => isBeneath(leaf, tokens));
  if (declared.length === 0) return undefined;
  const access = declared.some((entry) => entry.access === 'write') ? 'write' : 'read';
  return leaf.isKey ? guessed(leaf, access) : { pointer: pointerOf(leaf.trail), given: leaf.text, access };
}

function hasNone({ byName, declared }: PathRules): boolean {
  return !byName && declared.length === 0;
}

export function pathArguments(leaves: readonly Leaf[], rules: PathRules): PathArgument[] {
  const found: PathArgument[] = [];
  if (hasNone(rules)) return found;
  for (const leaf of leaves) {
    const argument = pathArgument(leaf, rules);
    if (argument !== undefined) found.push(argument);
  }
  return found;
}

/** The path arguments of a call, for whoever resolves them before deciding. */
export function pathArgumentsOf(args: JsonObject, capability: Capability): PathArgument[] {
  const rules = pathRules(capability);
  return hasNone(rules) ? [] : pathArguments(stringLeaves(args), rules);
}

/** Uncut: whoever tells of it quotes it. */
export interface PathOffence {
  why: string;
  given: string;
  resolved: string;
}

export interface Confinement {
  readonly root: readonly string[];
  readonly reserved: Reserved;
  readonly scope: ScopeSet | undefined;
}

function judge(
  path: ResolvedPath,
  { root, reserved, scope }: Confinement,
  isGuess: boolean,
): string | undefined {
  if (path.problem !== undefined) return path.problem;
  if (path.resolved === undefined) return 'could not be resolved';
  const segments = pathSegments(path.resolved);
  if (segments.includes('..') || segments.includes('.')) return 'is not a canonical path';
  if (root.length > segments.length || root.some((name, at) => segments[at] !== name))
    return 'leaves the sandbox';
  if (isReserved(reserved, path.resolved)) return 'is in a reserved directory';
  if (isGuess) return undefined;
  if (scope === undefined || !containsPath(scope[path.access], path.resolved)) {
    return `is in no ${path.access} scope in force`;
  }
  return undefined;
}

/** Every path that may not be touched. A path argument that nobody resolved is one. */
export function pathOffences(
  expected: readonly PathArgument[],
  resolved: readonly ResolvedPath[],
  confinement: Confinement,
): PathOffence[] {
  const found: PathOffence[] = [];
  const isKnown = (argument: PathArgument): boolean =>
    resolved.some(
      (path) =>
        path.pointer === argument.pointer &&
        path.given === argument.given &&
        (path.access === argument.access || argument.access === 'read'),
    );
  for (const argument of expected) {
    if (isKnown(argument)) continue;
    found.push({
      why: 'was not resolved before deciding',
      given: argument.given,
      resolved: '',
    });
  }
  for (const path of resolved) {
    const meant = expected.filter((one) => one.pointer === path.pointer && one.given === path.given);
    const isGuess = meant.length > 0 && meant.every((one) => one.isGuess);
    const why = judge(path, confinement, isGuess);
    if (why === undefined) continue;
    found.push({ why, given: path.given, resolved: path.resolved ?? '' });
  }
  return found;
}
