// Owns the oracle's reading of "workspace ∩ lane ∩ task ∩ tool per kind; a real intersection; empty is no".
// An intersection of patterns is decided by trying every path of a small universe that the generator's patterns
// cannot tell apart from the infinite one.
import type { Access, OConfig, OInput, OLayer, OScope, OTool } from './shapes.ts';

const DIRECTORIES = ['/box', '/box/a', '/box/a/b', '/box/c', '/box/q', '/box/q/r', '/box/a/q', '/box/a/b/q'];
const OUTSIDE = ['/other', '/other/a', '/boxes', '/q'];
const UNIVERSE: readonly string[] = [...DIRECTORIES, ...OUTSIDE].flatMap((directory) =>
  ['x.txt', 'y.md', 'z', 'w.txt'].map((file) => `${directory}/${file}`),
);

function segmentMatches(pattern: string, segment: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === segment;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  return (
    segment.length >= before.length + after.length && segment.startsWith(before) && segment.endsWith(after)
  );
}

function segmentsMatch(pattern: readonly string[], path: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return path.length === 0;
  if (head === '**') {
    for (let taken = 0; taken <= path.length; taken += 1) {
      if (segmentsMatch(rest, path.slice(taken))) return true;
    }
    return false;
  }
  const [first, ...others] = path;
  return first !== undefined && segmentMatches(head, first) && segmentsMatch(rest, others);
}

function patternMatches(pattern: string, path: string): boolean {
  return segmentsMatch(pattern.split('/').slice(1), path.split('/').slice(1));
}

/** The scope lists that narrow this call, in layer order, the tool's own last. */
function narrowing(config: OConfig, input: OInput, tool: OTool): { layer: string; scopes: OScope[] }[] {
  const layers: (OLayer | undefined)[] = [
    config.policy.workspace,
    config.policy.lanes[input.session.lane],
    config.policy.tasks[input.session.task],
  ];
  const lists = layers.flatMap((one) =>
    one?.scopes === undefined ? [] : [{ layer: one.level as string, scopes: one.scopes }],
  );
  return [...lists, { layer: 'kernel', scopes: toolScopes(tool) }];
}

/** A networked tool without a network scope of its own needs the hosts of its declared egress. */
function toolScopes(tool: OTool): OScope[] {
  if (tool.networkAccess === 'none') return tool.scopes;
  if (tool.scopes.some((scope) => scope.type === 'network')) return tool.scopes;
  return [...tool.scopes, { type: 'network', posture: 'allowlist', entries: tool.allowedEgress }];
}

function admitsPath(scopes: readonly OScope[], access: Access, path: string): boolean {
  return scopes.some(
    (scope) => scope.type === 'path' && scope.access === access && patternMatches(scope.pattern, path),
  );
}

function admitsHost(scopes: readonly OScope[], host: string): boolean {
  return scopes.some(
    (scope) =>
      scope.type === 'network' &&
      (scope.posture === 'full' || (scope.posture === 'allowlist' && scope.entries.includes(host))),
  );
}

const ANY_HOST = 'any-host-that-nobody-names.example';

function networkSurvives(lists: readonly { scopes: OScope[] }[]): boolean {
  const named = lists.flatMap((list) =>
    list.scopes.flatMap((scope) =>
      scope.type === 'network' && scope.posture === 'allowlist' ? scope.entries : [],
    ),
  );
  return [ANY_HOST, ...named].some((host) => lists.every((list) => admitsHost(list.scopes, host)));
}

/** The layers blamed for a scope denial; empty when the scopes allow the call. */
export function scopeDenials(config: OConfig, input: OInput, tool: OTool): string[] {
  const { lane, task } = input.session;
  const undeclared: string[] = [];
  if (lane !== 'default' && !Object.hasOwn(config.policy.lanes, lane)) undeclared.push('lane');
  if (task !== 'agent-session' && !Object.hasOwn(config.policy.tasks, task)) undeclared.push('task');
  if (undeclared.length > 0) return undeclared;

  const lists = narrowing(config, input, tool);
  const own = toolScopes(tool);
  const blamed: string[] = [];
  for (const access of ['read', 'write'] as const) {
    if (!own.some((scope) => scope.type === 'path' && scope.access === access)) continue;
    if (!UNIVERSE.some((path) => lists.every((list) => admitsPath(list.scopes, access, path)))) {
      blamed.push(firstEmpty(lists, (upTo) =>
        UNIVERSE.some((path) => upTo.every((list) => admitsPath(list.scopes, access, path))),
      ));
    }
  }
  if (own.some((scope) => scope.type === 'network' && scope.posture !== 'off')) {
    if (!networkSurvives(lists)) blamed.push(firstEmpty(lists, networkSurvives));
  }
  for (const path of input.paths) {
    const { resolved } = path;
    if (resolved === undefined) continue;
    const refusing = lists.find((list) => !admitsPath(list.scopes, path.access, resolved));
    if (refusing !== undefined) blamed.push(refusing.layer);
  }
  return blamed;
}

/** The layer whose addition to the tool's own scopes left nothing. */
function firstEmpty(
  lists: readonly { layer: string; scopes: OScope[] }[],
  survives: (lists: { layer: string; scopes: OScope[] }[]) => boolean,
): string {
  const own = lists.slice(-1);
  for (let upTo = 0; upTo < lists.length; upTo += 1) {
    if (!survives([...lists.slice(0, upTo), ...own])) return lists[upTo - 1]?.layer ?? 'kernel';
  }
  return lists.at(-2)?.layer ?? 'kernel';
}
