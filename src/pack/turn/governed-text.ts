// Owns the governed JSON form in which a model may answer, and nothing about what it means: is this text that form, and
// does it keep to it. The form is recognised only as the whole text, bare or in one fence: an object quoted inside prose
// may be somebody else's words.
import { z } from 'zod';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';

export interface GovernedAnswer {
  status: 'reply' | 'complete' | 'escalate' | 'tool_request';
  intent?: string;
  assistant_message?: string;
  requested_tool?: { name: string; input: JsonObject };
}

export type GovernedText =
  | { kind: 'plain' }
  | { kind: 'governed'; answer: GovernedAnswer }
  | { kind: 'malformed'; reason: string; field?: string };

const answer: z.ZodType<GovernedAnswer> = z.strictObject({
  status: z.enum(['reply', 'complete', 'escalate', 'tool_request']),
  intent: z.exactOptional(z.string().min(1)),
  assistant_message: z.exactOptional(z.string()),
  requested_tool: z.exactOptional(
    z.strictObject({
      name: z.string().min(1),
      input: z.record(z.string(), z.json()),
    }),
  ),
});

const KEYS = ['status', 'assistant_message', 'requested_tool'];
const FENCE = /^```(?:json)?[ \t]*\r?\n([\s\S]*?)\r?\n?```$/;
const GOVERNED_KEY = /"(?:status|assistant_message|requested_tool)"\s*:/;

export function unfenced(text: string): string {
  const bare = text.trim();
  return bare.startsWith('`') ? (FENCE.exec(bare)?.[1]?.trim() ?? bare) : bare;
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

export function readGoverned(text: string): GovernedText {
  const bare = unfenced(text);
  const body = bare.startsWith('`') ? bare.replace(/^```(?:json)?\s*/, '') : bare;
  if (!body.startsWith('{')) return { kind: 'plain' };
  const value = parsed(body);
  if (!isObject(value)) {
    // An attempt at the form that cannot be read is not a message for the user; other text in braces is.
    return GOVERNED_KEY.test(body) ? { kind: 'malformed', reason: 'not_json' } : { kind: 'plain' };
  }
  if (!KEYS.some((key) => Object.hasOwn(value, key))) return { kind: 'plain' };
  const read = answer.safeParse(value);
  if (read.success) return { kind: 'governed', answer: read.data };
  const issue = read.error.issues[0];
  const field = `/${(issue?.path ?? []).map(String).join('/')}`;
  return { kind: 'malformed', reason: field === '/status' ? 'unknown_status' : 'wrong_form', field };
}
