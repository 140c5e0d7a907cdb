// Owns the judging of what a downstream tool answered: shape, JSON limits, size, and the removal of protocol metadata
// that would otherwise speak in our name further up.
import { checkJson, isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { RuntimeError } from '../base/errors.ts';
import type { ReadMethod } from '../kernel/catalog/reads.ts';
import type { ContentBlock } from '../kernel/execution/executor.ts';

export interface ToolAnswer {
  content: ContentBlock[];
  structured?: JsonObject;
  isError: boolean;
}

const FOREIGN_META = ['io.modelcontextprotocol/', 'agent-runtime/'];

function refuse(why: string): never {
  throw new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', `the server's answer is not a tool result: ${why}`);
}

/** The object without `_meta` keys of the protocol itself and of ours; what else a server put there stays. */
export function stripMeta(value: JsonObject): JsonObject {
  const meta = value['_meta'];
  if (!isObject(meta)) return value;
  const kept = Object.entries(meta).filter(([key]) => !FOREIGN_META.some((prefix) => key.startsWith(prefix)));
  const { _meta, ...rest } = value;
  return kept.length === 0 ? rest : { ...rest, _meta: Object.fromEntries<JsonValue>(kept) };
}

function contentBlock(value: JsonValue): ContentBlock {
  if (!isObject(value) || typeof value['type'] !== 'string') refuse('a content block has no type');
  const block = stripMeta(value);
  const resource = block['resource'];
  return (isObject(resource)
    ? { ...block, resource: stripMeta(resource) }
    : block) as unknown as ContentBlock;
}

function assertSize(kept: JsonObject, outputBytes: number): void {
  const bytes = Buffer.byteLength(JSON.stringify(kept));
  if (bytes <= outputBytes) return;
  const text = `the tool answered with ${bytes} bytes; ${outputBytes} are allowed`;
  throw new RuntimeError('OUTPUT_TOO_LARGE', text, { bytes, allowed: outputBytes });
}

// Of the answer's transport, not of what was read.
const HOP_KEYS: ReadonlySet<string> = new Set(['resultType', 'ttlMs', 'cacheScope']);
const READ_KEYS: Readonly<Record<ReadMethod, string | undefined>> = {
  'resources/read': 'contents',
  'resources/subscribe': undefined,
  'prompts/get': 'messages',
  'completion/complete': 'completion',
};

function strippedPart(value: JsonValue): JsonValue {
  if (!isObject(value)) return value;
  const part = stripMeta(value);
  const { content } = part;
  return isObject(content) ? { ...part, content: contentBlock(content) } : part;
}

/** What a server answered to a read, whole, as structured content. Throws as `parseToolAnswer` does. */
export function parseReadAnswer(
  raw: unknown,
  { method, outputBytes, messageBytes }: { method: ReadMethod; outputBytes: number; messageBytes: number },
): ToolAnswer {
  const value = checkJson(raw, { maxDepth: 64, maxBytes: messageBytes });
  const key = READ_KEYS[method];
  const body = isObject(value) && key !== undefined ? value[key] : {};
  if (!isObject(value) || !(Array.isArray(body) || isObject(body))) refuse(`it has no ${key ?? 'body'}`);
  const kept = Object.entries(stripMeta(value)).filter(([name]) => !HOP_KEYS.has(name));
  const structured: JsonObject = {
    ...Object.fromEntries<JsonValue>(kept),
    ...(key === undefined ? {} : { [key]: Array.isArray(body) ? body.map(strippedPart) : body }),
  };
  assertSize(structured, outputBytes);
  return { content: [], structured, isError: false };
}

/** Throws SUBPROCESS_PROTOCOL_ERROR, INVALID_INPUT (not JSON that we accept) or OUTPUT_TOO_LARGE. */
export function parseToolAnswer(raw: unknown, outputBytes: number, messageBytes: number): ToolAnswer {
  const value = checkJson(raw, { maxDepth: 64, maxBytes: messageBytes });
  if (!isObject(value)) refuse('it is not an object');
  const blocks = value['content'] ?? [];
  const structured = value['structuredContent'];
  const isError = value['isError'] ?? false;
  if (!Array.isArray(blocks)) refuse('its content is not a list');
  if (structured !== undefined && !isObject(structured)) refuse('its structuredContent is not an object');
  if (typeof isError !== 'boolean') refuse('its isError is neither true nor false');
  const content = blocks.map(contentBlock);
  const kept = structured === undefined ? { content } : { content, structured: structured };
  assertSize(kept, outputBytes);
  return { isError, ...kept };
}
