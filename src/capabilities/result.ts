// Owns the judging of what a downstream tool answered: shape, JSON limits, size, and the removal of protocol metadata
// that would otherwise speak in our name further up.
import { checkJson, isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { RuntimeError } from '../base/errors.ts';
import type { ContentBlock } from '../kernel/execution/executor.ts';

export interface ToolAnswer {
  content: ContentBlock[];
  structured?: JsonObject;
  isError: boolean;
}

const PROTOCOL_META = 'io.modelcontextprotocol/';

function refuse(why: string): never {
  throw new RuntimeError('SUBPROCESS_PROTOCOL_ERROR', `the server's answer is not a tool result: ${why}`);
}

/** The object without `_meta` keys of the protocol itself; what else a server put there stays. */
function stripMeta(value: JsonObject): JsonObject {
  const meta = value['_meta'];
  if (!isObject(meta)) return value;
  const kept = Object.entries(meta).filter(([key]) => !key.startsWith(PROTOCOL_META));
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
  const bytes = Buffer.byteLength(JSON.stringify(kept));
  if (bytes > outputBytes) {
    throw new RuntimeError(
      'OUTPUT_TOO_LARGE',
      `the tool answered with ${bytes} bytes; ${outputBytes} are allowed`,
      {
        bytes,
        allowed: outputBytes,
      },
    );
  }
  return { ...kept, isError };
}
