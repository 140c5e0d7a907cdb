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

const known = new Map<string, boolean>();

function patternMatches(pattern: string, path: string): boolean {
  const key = `${pattern} ${path}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const matches = segmentsMatch(pattern.split('/').slice(1), path.split('/').slice(1));
  known.set(key, matches);
  return matches;
}

/** The scope lists that narrow this call, the tool's own last; a tool without scopes has none. */
function narrowing(config: OConfig, input: OInput, tool: OTool | undefined): OScope[][] {
  const layers: (OLayer | undefined)[] = [
    config.policy.workspace,
    config.policy.lanes[input.session.lane],
    config.policy.tasks[input.session.task],
  ];
  const lists = layers.flatMap((one) => (one?.scopes === undefined ? [] : [one.scopes]));
  return [...lists, tool === undefined ? [] : toolScopes(tool)];
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

/** A host without a port means the port of https, so `host` and `host:443` are one entry. */
function withPort(entry: string): string {
  return /:\d+$/.test(entry) ? entry : `${entry}:443`;
}

function admitsHost(scopes: readonly OScope[], host: string): boolean {
  return scopes.some(
    (scope) =>
      scope.type === 'network' &&
      (scope.posture === 'full' ||
        (scope.posture === 'allowlist' && scope.entries.some((entry) => withPort(entry) === withPort(host)))),
  );
}

const ANY_HOST = 'any-host-that-nobody-names.example';

function networkSurvives(lists: readonly OScope[][]): boolean {
  const named = lists.flatMap((list) =>
    list.flatMap((scope) => (scope.type === 'network' && scope.posture === 'allowlist' ? scope.entries : [])),
  );
  return [ANY_HOST, ...named].some((host) => lists.every((list) => admitsHost(list, host)));
}

/** The layers blamed for a scope denial; empty when something is left of every kind the tool requires. */
export function scopeDenials(config: OConfig, input: OInput, tool: OTool | undefined): string[] {
  if (tool === undefined) return [];
  const { lane, task } = input.session;
  const blamed: string[] = [];
  if (lane !== 'default' && !Object.hasOwn(config.policy.lanes, lane)) blamed.push('lane');
  if (task !== 'agent-session' && !Object.hasOwn(config.policy.tasks, task)) blamed.push('task');
  const lists = narrowing(config, input, tool);
  const own = toolScopes(tool);
  for (const access of ['read', 'write'] as const) {
    if (!own.some((scope) => scope.type === 'path' && scope.access === access)) continue;
    if (!UNIVERSE.some((path) => lists.every((list) => admitsPath(list, access, path))))
      blamed.push('kernel');
  }
  const networked = own.some((scope) => scope.type === 'network' && scope.posture !== 'off');
  if (networked && !networkSurvives(lists)) blamed.push('kernel');
  return blamed;
}

/** Is this resolved path in the intersection of all lists for its access? */
export function pathInForce(
  config: OConfig,
  input: OInput,
  tool: OTool | undefined,
  resolved: string,
  access: Access,
): boolean {
  return narrowing(config, input, tool).every((list) => admitsPath(list, access, resolved));
}

/** Is this host in the intersection of all network scopes of a networked tool? */
export function hostInForce(config: OConfig, input: OInput, tool: OTool, host: string): boolean {
  return narrowing(config, input, tool).every((list) => admitsHost(list, host));
}
