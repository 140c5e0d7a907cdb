// Owns the judging of what a server asks: its shape, our bounds on it, and whether an answer is what was asked for.
import { asRuntimeError } from '../../base/errors.ts';
import { checkJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import type { InputBounds } from '../../config/types.ts';
import type { Reply } from '../../kernel/execution/executor.ts';
import { checkArgs } from '../../kernel/policy/arg-schema.ts';
import type { SchemaCache } from '../../kernel/policy/arg-schema.ts';

export type AskedInput =
  | { mode: 'form'; message: string; schema: JsonObject }
  | { mode: 'url'; message: string; url: string; elicitationId: string };

export type Parsed = { ok: true; input: AskedInput } | { ok: false; why: string };

const MAX_MESSAGE_CHARS = 10_000;
const MAX_URL_CHARS = 2000;
const MAX_ID_CHARS = 200;

function no(why: string): Parsed {
  return { ok: false, why };
}

function webUrl(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > MAX_URL_CHARS || !URL.canParse(text)) return undefined;
  const { protocol, username, password } = new URL(text);
  const isWeb = protocol === 'https:' || protocol === 'http:';
  return isWeb && username === '' && password === '' ? text : undefined;
}

function parseForm(message: string, raw: JsonObject, bounds: InputBounds): Parsed {
  const schema = raw['requestedSchema'];
  if (!isObject(schema) || schema['type'] !== 'object' || !isObject(schema['properties'])) {
    return no('its form is not an object with properties');
  }
  try {
    // The object and its list of properties around what is counted.
    checkJson(schema, { maxDepth: bounds.maxSchemaDepth, maxBytes: bounds.maxSchemaBytes });
  } catch (thrown) {
    return no(`its form is too large: ${asRuntimeError(thrown).message}`);
  }
  return { ok: true, input: { mode: 'form', message, schema: schema } };
}

function parseUrl(message: string, raw: JsonObject): Parsed {
  const url = webUrl(raw['url']);
  const id = raw['elicitationId'] ?? '';
  if (url === undefined) return no('its address is not a plain http or https URL');
  if (typeof id !== 'string' || id.length > MAX_ID_CHARS) return no('its elicitation id is no short text');
  return { ok: true, input: { mode: 'url', message, url, elicitationId: id } };
}

/** Parameters of `elicitation/create`, as they came. */
export function parseQuestion(params: unknown, bounds: InputBounds): Parsed {
  if (!isObject(params)) return no('it has no parameters');
  const raw = params as JsonObject;
  const { message, mode = 'form' } = raw;
  if (typeof message !== 'string' || message.length > MAX_MESSAGE_CHARS) return no('its message is no text');
  if (mode === 'form') return parseForm(message, raw, bounds);
  return mode === 'url' ? parseUrl(message, raw) : no('its mode is unknown');
}

/** Why the reply is not an answer to this question, if so. */
export async function replyFault(
  input: AskedInput,
  reply: Reply,
  { schemas, bounds }: { schemas: SchemaCache; bounds: InputBounds },
): Promise<string | undefined> {
  if (reply.action !== 'accept' || input.mode === 'url') return undefined;
  const { content } = reply;
  if (content === undefined) return 'it has no content';
  try {
    checkJson(content, { maxDepth: bounds.maxSchemaDepth, maxBytes: bounds.maxReplyBytes });
  } catch (thrown) {
    return asRuntimeError(thrown).message;
  }
  const prepared = await schemas.prepare(input.schema);
  if ('refused' in prepared) return `the form cannot be checked: ${prepared.refused}`;
  const found = checkArgs(prepared, content);
  return found.ok ? undefined : `${found.path}: ${found.error}`;
}
