// Owns what a server's tools/list answer becomes: whole definitions that can be pinned, and the tools that are refused,
// each with its reason. One bad tool is refused alone; a name that is claimed twice is refused for both.
import { checkJson, isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { showCut } from '../base/text.ts';
import { stripMeta } from './result.ts';

/** The parts of a tool that a person approves; what else a server sends is not kept and decides nothing. */
export interface LiveTool {
  name: string;
  title?: string;
  description?: string;
  inputSchema: JsonObject;
  outputSchema?: JsonObject;
  annotations?: JsonObject;
  icons?: JsonObject[];
  /** What a host may act on, as the page that shows an answer; without keys of the protocol or of ours. */
  _meta?: JsonObject;
}

export interface LiveList {
  /** In the order of their names. */
  tools: LiveTool[];
  refused: { name: string; why: string }[];
  /** Of the server, as it says itself; absent where it says none. */
  version?: string;
}

const NAME = /^[A-Za-z0-9._/-]{1,128}$/;
const LIMITS = { maxDepth: 64, maxBytes: 256 * 1024 };

function refuseTool(why: string): never {
  throw new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', why);
}

function textOf(raw: Record<string, unknown>, key: 'title' | 'description'): string | undefined {
  const value = raw[key];
  if (value !== undefined && typeof value !== 'string') refuseTool(`its ${key} is not text`);
  return value;
}

function objectOf(raw: Record<string, unknown>, key: string): JsonObject | undefined {
  const value = raw[key];
  if (value !== undefined && !isObject(value)) refuseTool(`its ${key} is not an object`);
  return value as JsonObject | undefined;
}

function parseTool(raw: Record<string, unknown>, name: string): LiveTool {
  const title = textOf(raw, 'title');
  const description = textOf(raw, 'description');
  const inputSchema = objectOf(raw, 'inputSchema');
  const outputSchema = objectOf(raw, 'outputSchema');
  const annotations = objectOf(raw, 'annotations');
  const meta = objectOf(raw, '_meta');
  const { _meta } = meta === undefined ? {} : stripMeta({ _meta: meta });
  const { icons } = raw;
  if (inputSchema === undefined) refuseTool('it has no inputSchema');
  if (icons !== undefined && !(Array.isArray(icons) && icons.every(isObject))) {
    refuseTool('its icons are not a list of objects');
  }
  const tool: LiveTool = {
    name,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    inputSchema,
    ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(icons === undefined ? {} : { icons: icons as JsonObject[] }),
    ...(_meta === undefined ? {} : { _meta: _meta as JsonObject }),
  };
  checkJson(tool, LIMITS);
  return tool;
}

/** Judges the entries of all pages together. Never throws. */
export function parseToolList(entries: readonly unknown[]): LiveList {
  const tools = new Map<string, LiveTool>();
  const refused: LiveList['refused'] = [];
  const claims = new Map<string, number>();
  const nameOf = (entry: unknown): string | undefined =>
    isObject(entry) && typeof entry['name'] === 'string' ? entry['name'] : undefined;
  // Names that differ in case only are one name to a person who reads them.
  const claim = (name: string): string => name.toLowerCase();
  for (const entry of entries) {
    const name = nameOf(entry);
    if (name !== undefined) claims.set(claim(name), (claims.get(claim(name)) ?? 0) + 1);
  }
  for (const entry of entries) {
    const name = nameOf(entry);
    const refuse = (why: string): number => refused.push({ name: showCut(name ?? '(no name)', 128), why });
    if (!isObject(entry) || name === undefined) refuse('it is not a tool definition');
    else if (!NAME.test(name)) refuse('its name is not 1 to 128 of A-Z a-z 0-9 . _ / -');
    else if ((claims.get(claim(name)) ?? 0) > 1) refuse('its name is claimed more than once');
    else {
      try {
        tools.set(name, parseTool(entry, name));
      } catch (thrown) {
        refuse(asRuntimeError(thrown).message);
      }
    }
  }
  return { tools: [...tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), refused };
}
