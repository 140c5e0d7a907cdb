// Owns what a foreign JSON Schema may look like before anything compiles it: depth, size, references, regular
// expressions, and how often one value could be validated. A schema is a graph: an edge either stays at the same
// value (allOf, $ref, …) or goes down to a child (properties, items, …).
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { judgeRegex } from './linear-regex.ts';

export interface SchemaFacts {
  subschemas: number;
  /** Distinct ways through the schema, rings once: what one value can cost. */
  paths: number;
  /** How many times a recursive schema multiplies the work with each level of the data; 1: not at all. */
  growth: number;
  /** Uses `uniqueItems`, which compares every pair. */
  comparesPairs: boolean;
}
export type SchemaVetting = { refused: string } | SchemaFacts;

interface SchemaLimits {
  maxDepth: number;
  maxSubschemas: number;
  maxBytes: number;
  maxPaths: number;
}
export const SCHEMA_LIMITS: SchemaLimits = {
  maxDepth: 32,
  maxSubschemas: 2000,
  maxBytes: 256 * 1024,
  maxPaths: 20_000,
};

type Kind = 'same' | 'down' | 'plain';
const ONE: Readonly<Record<string, Kind>> = {
  not: 'same',
  if: 'same',
  then: 'same',
  else: 'same',
  items: 'down',
  additionalItems: 'down',
  additionalProperties: 'down',
  unevaluatedItems: 'down',
  unevaluatedProperties: 'down',
  contains: 'down',
  propertyNames: 'down',
};
const LIST: Readonly<Record<string, Kind>> = {
  allOf: 'same',
  anyOf: 'same',
  oneOf: 'same',
  prefixItems: 'down',
  items: 'down',
};
const MAP: Readonly<Record<string, Kind>> = {
  properties: 'down',
  patternProperties: 'down',
  dependentSchemas: 'same',
  dependencies: 'same',
  $defs: 'plain',
  definitions: 'plain',
};
// Data, not schemas: what stands in them is never validated with.
const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples', 'example']);
const REFUSED_KEYS: ReadonlySet<string> = new Set([
  '$dynamicRef',
  '$recursiveRef',
  '$dynamicAnchor',
  '$anchor',
]);

interface Edge {
  to: JsonObject;
  kind: Kind;
}

function edgesOf(schema: JsonObject): Edge[] {
  const edges: Edge[] = [];
  const add = (value: unknown, kind: Kind): void => {
    if (isObject(value)) edges.push({ to: value as JsonObject, kind });
  };
  for (const key of Object.keys(schema)) {
    const value = schema[key];
    const list = LIST[key];
    const map = MAP[key];
    if (list !== undefined && Array.isArray(value)) for (const entry of value) add(entry, list);
    else if (map !== undefined && isObject(value)) for (const entry of Object.values(value)) add(entry, map);
    else add(value, ONE[key] ?? 'plain');
  }
  return edges.filter(({ kind }) => kind !== 'plain');
}

function resolvePointer(root: JsonObject, ref: string): JsonObject | undefined {
  let at: unknown = root;
  for (const token of ref.slice(1).split('/').slice(1)) {
    let name: string;
    try {
      name = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
    } catch {
      return undefined;
    }
    if (Array.isArray(at)) at = at[Number(name)];
    else if (isObject(at) && Object.hasOwn(at, name)) at = at[name];
    else return undefined;
  }
  return isObject(at) ? (at as JsonObject) : undefined;
}

function refusedRegex(schema: JsonObject): string | undefined {
  const patterns: string[] = [];
  if (typeof schema['pattern'] === 'string') patterns.push(schema['pattern']);
  if (isObject(schema['patternProperties'])) patterns.push(...Object.keys(schema['patternProperties']));
  if (schema['format'] === 'regex') return '`format: regex` is not allowed';
  for (const pattern of patterns) {
    const verdict = judgeRegex(pattern);
    if ('refused' in verdict)
      return `the pattern ${JSON.stringify(pattern.slice(0, 80))} is refused: ${verdict.refused}`;
  }
  return undefined;
}

function refusedKeys(schema: JsonObject, isRoot: boolean): string | undefined {
  for (const key of Object.keys(schema)) {
    if (REFUSED_KEYS.has(key)) return `\`${key}\` is not supported`;
  }
  if (!isRoot && typeof schema['$id'] === 'string') return 'a nested `$id` is not supported';
  const ref = schema['$ref'];
  if (ref !== undefined && (typeof ref !== 'string' || !/^#(?:$|\/)/.test(ref))) {
    return 'a `$ref` leads outside the schema';
  }
  return refusedRegex(schema);
}

interface Survey {
  nodes: JsonObject[];
  comparesPairs: boolean;
}

type Role = 'schema' | 'map' | 'data';

/** What stands under a key. Unknown keywords are judged like schemas, because a `$ref` may lead there. */
function roleUnder(role: Role, key: string, isArray: boolean): Role {
  if (role === 'data') return 'data';
  if (role === 'map' || isArray) return 'schema';
  if (DATA.has(key)) return 'data';
  return MAP[key] === undefined ? 'schema' : 'map';
}

/** Walks everything, data included, so that depth and size hold for the compiler too. */
function survey(root: JsonObject): Survey | { refused: string } {
  const found: Survey = { nodes: [], comparesPairs: false };
  const seen = new Set<object>();
  const stack: { value: unknown; depth: number; role: Role }[] = [{ value: root, depth: 1, role: 'schema' }];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { value, depth, role } = item;
    if (typeof value !== 'object' || value === null) continue;
    // Arrays and maps of schemas count as levels too: a level of schema is at most two of these.
    if (depth > SCHEMA_LIMITS.maxDepth * 2) return { refused: `it is deeper than ${SCHEMA_LIMITS.maxDepth}` };
    if (seen.has(value)) return { refused: 'it is no tree of JSON values' };
    seen.add(value);
    if (seen.size > SCHEMA_LIMITS.maxSubschemas * 4) return { refused: 'it has too many values' };
    const refused =
      role === 'schema' && isObject(value) ? noteSchema(found, value as JsonObject, root) : undefined;
    if (refused !== undefined) return { refused };
    for (const [key, child] of Object.entries(value)) {
      stack.push({ value: child, depth: depth + 1, role: roleUnder(role, key, Array.isArray(value)) });
    }
  }
  return found;
}

function noteSchema(found: Survey, schema: JsonObject, root: JsonObject): string | undefined {
  found.nodes.push(schema);
  if (schema['uniqueItems'] === true) found.comparesPairs = true;
  return found.nodes.length > SCHEMA_LIMITS.maxSubschemas
    ? `it has more than ${SCHEMA_LIMITS.maxSubschemas} subschemas`
    : refusedKeys(schema, schema === root);
}

interface Graph {
  edges: Map<JsonObject, Edge[]>;
}

function buildGraph(root: JsonObject, nodes: readonly JsonObject[]): Graph | { refused: string } {
  const edges = new Map<JsonObject, Edge[]>();
  const known = new Set(nodes);
  for (const node of nodes) {
    const own = edgesOf(node);
    const ref = node['$ref'];
    if (typeof ref === 'string') {
      const to = resolvePointer(root, ref);
      if (to === undefined || !known.has(to)) {
        return { refused: `the reference ${JSON.stringify(ref.slice(0, 80))} leads nowhere` };
      }
      own.push({ to, kind: 'same' });
    }
    edges.set(node, own);
  }
  return { edges };
}

interface Tarjan {
  readonly edges: Map<JsonObject, Edge[]>;
  readonly index: Map<JsonObject, number>;
  readonly low: Map<JsonObject, number>;
  readonly component: Map<JsonObject, number>;
  readonly open: JsonObject[];
  made: number;
}

function lower(state: Tarjan, node: JsonObject, to: number): void {
  state.low.set(node, Math.min(state.low.get(node) ?? to, to));
}

function enter(state: Tarjan, node: JsonObject): void {
  state.index.set(node, state.index.size);
  lower(state, node, state.index.size - 1);
  state.open.push(node);
}

/** All edges of a node are seen: if nothing above it is reachable, what is open down to it is one component. */
function leave(state: Tarjan, node: JsonObject, parent: JsonObject | undefined): void {
  const low = state.low.get(node) ?? 0;
  if (parent !== undefined) lower(state, parent, low);
  if (low !== state.index.get(node)) return;
  for (let member = state.open.pop(); member !== undefined; member = state.open.pop()) {
    state.component.set(member, state.made);
    if (member === node) break;
  }
  state.made += 1;
}

/** The strongly connected component of each node: Tarjan's algorithm without recursion. */
function components({ edges }: Graph): Map<JsonObject, number> {
  const state: Tarjan = { edges, index: new Map(), low: new Map(), component: new Map(), open: [], made: 0 };
  for (const start of edges.keys()) {
    const work: { node: JsonObject; next: number }[] = state.index.has(start)
      ? []
      : [{ node: start, next: 0 }];
    for (let frame = work.at(-1); frame !== undefined; frame = work.at(-1)) {
      if (frame.next === 0) enter(state, frame.node);
      const edge = edges.get(frame.node)?.[frame.next++];
      if (edge === undefined) {
        work.pop();
        leave(state, frame.node, work.at(-1)?.node);
      } else if (!state.index.has(edge.to)) {
        work.push({ node: edge.to, next: 0 });
      } else if (!state.component.has(edge.to)) {
        lower(state, frame.node, state.index.get(edge.to) ?? 0);
      }
    }
  }
  return state.component;
}

/** How many children's validations one node may start within its own component, on the value and on each child. */
function growthOf({ edges }: Graph, component: Map<JsonObject, number>): number | { refused: string } {
  const known = new Map<JsonObject, number | 'open'>();
  const weigh = (node: JsonObject): number => {
    const found = known.get(node);
    if (found === 'open') return Infinity; // a ring that never goes down to a child
    if (found !== undefined) return found;
    known.set(node, 'open');
    const inside = (edges.get(node) ?? []).filter(({ to }) => component.get(to) === component.get(node));
    const patterns = isObject(node['patternProperties']) ? Object.keys(node['patternProperties']).length : 0;
    const overlap = patterns + (node['items'] !== undefined && node['contains'] !== undefined ? 1 : 0);
    const down = inside.some(({ kind }) => kind === 'down') ? 1 + overlap : 0;
    const weight = inside.reduce((sum, edge) => sum + (edge.kind === 'same' ? weigh(edge.to) : 0), down);
    known.set(node, weight);
    return weight;
  };
  let growth = 1;
  for (const node of edges.keys()) growth = Math.max(growth, weigh(node));
  return Number.isFinite(growth) ? growth : { refused: 'a `$ref` leads back to itself at the same value' };
}

/** Distinct ways from the root to any node, rings counted once: what one leaf of the data can cost. */
function countPaths(root: JsonObject, { edges }: Graph, component: Map<JsonObject, number>): number {
  const known = new Map<JsonObject, number>();
  const count = (node: JsonObject): number => {
    const found = known.get(node);
    if (found !== undefined) return found;
    known.set(node, 1);
    const outside = (edges.get(node) ?? []).filter(({ to }) => component.get(to) !== component.get(node));
    const total = outside.reduce((sum, { to }) => Math.min(sum + count(to), SCHEMA_LIMITS.maxPaths * 2), 1);
    known.set(node, total);
    return total;
  };
  return Math.max(count(root), ...[...edges.keys()].map(count));
}

/** Judges a schema without compiling it. The recursion here is bounded by the number of subschemas. */
export function vetSchema(root: JsonObject): SchemaVetting {
  const surveyed = survey(root);
  if ('refused' in surveyed) return surveyed;
  const graph = buildGraph(root, surveyed.nodes);
  if ('refused' in graph) return graph;
  const component = components(graph);
  const growth = growthOf(graph, component);
  if (typeof growth !== 'number') return growth;
  const paths = countPaths(root, graph, component);
  if (paths > SCHEMA_LIMITS.maxPaths)
    return { refused: 'its compositions multiply beyond what may be validated' };
  return { subschemas: surveyed.nodes.length, paths, growth, comparesPairs: surveyed.comparesPairs };
}
