// Owns the judging of what a server asks: its shape, our bounds on it, and whether an answer is what was asked for.
import { asRuntimeError } from '../../base/errors.ts';
import { checkJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import type { InputBounds } from '../../config/types.ts';
import type { Reply } from '../../kernel/execution/executor.ts';
import { rootsAnswer, samplingAnswer, samplingParams } from './lent.ts';
import { checkArgs } from '../../kernel/policy/arg-schema.ts';
import type { SchemaCache } from '../../kernel/policy/arg-schema.ts';

/** A request of a server as it came; `key` where the server gave it a name. */
export interface Need {
  key?: string;
  method: string;
  params: unknown;
}

export type AskedInput = { key?: string; message: string } & (
  | { mode: 'form'; schema: JsonObject }
  | { mode: 'url'; url: string; elicitationId: string }
  | { mode: 'sampling'; params: JsonObject }
  | { mode: 'roots' }
);

export type Parsed = { ok: true; input: AskedInput } | { ok: false; why: string };

const MAX_MESSAGE_CHARS = 10_000;
const MAX_URL_CHARS = 2000;
const MAX_ID_CHARS = 200;
const MAX_KEY_CHARS = 200;

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

function parseSampling(params: unknown): Parsed {
  const found = samplingParams(params);
  return found.ok
    ? { ok: true, input: { mode: 'sampling', message: 'It asks your model.', params: found.params } }
    : no(found.why);
}

export function parseNeed({ key, method, params }: Need, bounds: InputBounds): Parsed {
  if (key !== undefined && key.length > MAX_KEY_CHARS) return no('its key is no short text');
  const parsed = parsedOf(method, params, bounds);
  return parsed.ok && key !== undefined ? { ok: true, input: { ...parsed.input, key } } : parsed;
}

function parsedOf(method: string, params: unknown, bounds: InputBounds): Parsed {
  switch (method) {
    case 'elicitation/create':
      return parseQuestion(params, bounds);
    case 'sampling/createMessage':
      return parseSampling(params);
    case 'roots/list':
      return { ok: true, input: { mode: 'roots', message: 'It asks for your roots.' } };
    default:
      return no('it is not known here');
  }
}

/** Parameters of `elicitation/create`, as they came. */
function parseQuestion(params: unknown, bounds: InputBounds): Parsed {
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
  if (reply.action !== 'accept' || input.mode === 'url' || input.mode === 'roots') return undefined;
  const { content } = reply;
  if (input.mode === 'sampling') {
    return samplingAnswer(content) === undefined ? 'it is no answer of a model' : undefined;
  }
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

/** What the server is given for a reply to its question; undefined where there is nothing to give. */
export function resultFor({ mode }: AskedInput, reply: Reply): Record<string, unknown> | undefined {
  const content = 'content' in reply ? reply.content : undefined;
  switch (mode) {
    case 'form':
    case 'url':
      // What else we know of a reply is not the server's to hear.
      return { action: reply.action, ...(content === undefined ? {} : { content }) };
    case 'sampling':
      return samplingAnswer(content);
    case 'roots':
      // A client without roots has none to tell.
      return rootsAnswer(content);
  }
}
