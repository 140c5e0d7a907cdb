// Owns the step from an untrusted value or a YAML text to a workflow's definition. Everything wrong is told at once, each
// with its path and, from YAML, its line and column.
import { checkJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { issuePointer } from '../../base/parse.ts';
import { placeOf, Problems } from '../../config/problems.ts';
import type { SourcePlaces } from '../../config/problems.ts';
import { readYaml } from '../../config/yaml.ts';
import { checkConditions } from './check-conditions.ts';
import { checkGraph } from './check-graph.ts';
import type { PlacedNode } from './check-graph.ts';
import { checkMappings } from './check-mappings.ts';
import { checkNodes } from './check-nodes.ts';
import type { KnownNames } from './check-nodes.ts';
import type { NodeDefinition, Report, WorkflowDefinition } from './definition.ts';
import { workflowSchema } from './schema.ts';

export interface WorkflowProblem {
  /** JSON pointer; `/` is the whole definition. */
  path: string;
  line?: number;
  column?: number;
  sentence: string;
}

export type ParsedWorkflow =
  { ok: true; definition: WorkflowDefinition } | { ok: false; problems: WorkflowProblem[] };

const LIMITS = { maxDepth: 64, maxBytes: 8 * 1024 * 1024 };

/** Reports what does not fit; answers whether a node can be looked at further, which a key too many does not prevent. */
function shapeProblems(value: unknown, report: Report): (at: number) => boolean {
  const broken = new Set<number>();
  let isList = true;
  for (const issue of workflowSchema.safeParse(value).error?.issues ?? []) {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) report([...path, key], 'is not a key of a workflow');
      continue;
    }
    report(path, issue.message);
    const [top, at] = path;
    if (top !== 'nodes') continue;
    if (typeof at === 'number') broken.add(at);
    else isList = false;
  }
  return (at) => isList && !broken.has(at);
}

/** The nodes that can be looked at; of a broken one its edges only, with a schema that claims nothing of its output. */
function readableNodes(value: unknown, isShaped: (at: number) => boolean): PlacedNode[] {
  const nodes: unknown[] =
    isObject(value) && Array.isArray((value as JsonObject).nodes)
      ? ((value as JsonObject).nodes as unknown[])
      : [];
  return nodes.flatMap((node, at) => {
    if (isShaped(at)) return [{ at, node: node as NodeDefinition }];
    if (!isObject(node) || typeof (node as JsonObject).id !== 'string') return [];
    const { id, depends_on: depends } = node as { id: string; depends_on?: unknown };
    const isList = Array.isArray(depends) && depends.every((one) => typeof one === 'string');
    const edges = isList ? { depends_on: depends } : {};
    return [{ at, node: { id, ...edges, output_schema: {}, execute_turn_input: { messages: [] } } }];
  });
}

/** An untrusted value → a definition that can run, or everything that is wrong with it. */
export async function parseWorkflow(
  value: unknown,
  places?: SourcePlaces,
  known?: KnownNames,
): Promise<ParsedWorkflow> {
  const problems: WorkflowProblem[] = [];
  const report: Report = (path, sentence) => {
    const place = places === undefined ? {} : placeOf(places, path, 'value');
    problems.push({ path: issuePointer(path), ...place, sentence });
  };
  try {
    checkJson(value, LIMITS);
  } catch (thrown) {
    report([], (thrown as Error).message);
    return { ok: false, problems };
  }
  const nodes = readableNodes(value, shapeProblems(value, report));
  checkGraph(nodes, report);
  checkNodes(nodes, report, known);
  checkMappings(nodes, report);
  await checkConditions(nodes, report);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, definition: JSON.parse(JSON.stringify(value)) as WorkflowDefinition };
}

/** The same from the text of a YAML file; `file` is the name that sentences show. */
export async function parseWorkflowYaml(
  file: string,
  text: string,
  known?: KnownNames,
): Promise<ParsedWorkflow> {
  const found = new Problems();
  const read = await readYaml(file, text, file, found);
  if (read !== undefined) return parseWorkflow(read.value, read.places, known);
  return {
    ok: false,
    problems: found
      .list()
      .map(({ path, line, column, message }) => ({ path, line, column, sentence: message })),
  };
}
