// Owns what is wrong with a node's inputs: a mapping from a node that need not have ended, to a place that the output
// does not have, or of another type than the place's.
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { PlacedNode } from './check-graph.ts';
import { ancestorsOf } from './definition.ts';
import type { InputMapping, JsonType, NodeDefinition, Report } from './definition.ts';
import { pointerParts } from './pointer.ts';

type Place = { known: true; type: JsonType | undefined } | { known: false; why: string };

const WORDS: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'object', 'array']);

function typeOfSchema(schema: JsonObject): JsonType | undefined {
  const { type } = schema;
  if (type === 'integer') return 'number';
  return typeof type === 'string' && WORDS.has(type) ? (type as JsonType) : undefined;
}

/** Follows a pointer through a schema as far as the schema speaks plainly; beyond that nothing is claimed. */
function placeInSchema(schema: JsonValue | undefined, parts: readonly string[]): Place {
  if (!isObject(schema)) return { known: true, type: undefined };
  const [part, ...rest] = parts;
  if (part === undefined) return { known: true, type: typeOfSchema(schema) };
  const type = typeOfSchema(schema);
  if (type === 'array') {
    if (!/^(0|[1-9]\d*)$/.test(part)) return { known: false, why: `"${part}" is no index of a list` };
    return placeInSchema(schema.items, rest);
  }
  if (type !== undefined && type !== 'object')
    return { known: false, why: `a ${type} has nothing inside it` };
  const { properties } = schema;
  if (!isObject(properties)) return { known: true, type: undefined };
  if (Object.hasOwn(properties, part)) return placeInSchema(properties[part], rest);
  const isPlain = !['allOf', 'anyOf', 'oneOf', '$ref', 'patternProperties', 'if'].some((key) =>
    Object.hasOwn(schema, key),
  );
  return isPlain
    ? { known: false, why: `its output_schema has no "${part}"` }
    : { known: true, type: undefined };
}

function placeInOutput(source: NodeDefinition, path: string): Place {
  const [part, ...rest] = pointerParts(path);
  if (part === undefined) return { known: true, type: 'object' };
  if (part === 'status' || part === 'assistant_message') {
    return rest.length === 0
      ? { known: true, type: 'string' }
      : { known: false, why: `${part} is a text and has nothing inside it` };
  }
  if (part !== 'structured') {
    return { known: false, why: 'an output has status, assistant_message and structured' };
  }
  if (source.output_schema === undefined) {
    return { known: false, why: `${source.id} declares no output_schema, so it has no structured output` };
  }
  return placeInSchema(source.output_schema, rest);
}

function problemOf(mapping: InputMapping, nodes: readonly NodeDefinition[], id: string): string | undefined {
  const source = nodes.find((node) => node.id === mapping.from);
  if (source === undefined) return `is taken from ${mapping.from}, which is no node of this workflow`;
  if (!ancestorsOf(nodes, id).has(mapping.from)) {
    return `is taken from ${mapping.from}, on which ${id} does not depend`;
  }
  const place = placeInOutput(source, mapping.path);
  if (!place.known) return `leads to nothing in the output of ${mapping.from}: ${place.why}`;
  if (mapping.type === undefined || place.type === undefined || mapping.type === place.type) return undefined;
  return `expects ${mapping.type}, but ${mapping.path} of ${mapping.from} is ${place.type}`;
}

export function checkMappings(placed: readonly PlacedNode[], report: Report): void {
  const nodes = placed.map(({ node }) => node);
  for (const { node, at } of placed) {
    for (const [name, mapping] of Object.entries(node.inputs ?? {})) {
      const problem = problemOf(mapping, nodes, node.id);
      if (problem !== undefined) report(['nodes', at, 'inputs', name], problem);
    }
  }
}
