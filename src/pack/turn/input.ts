// Owns the step from an untrusted turn input to a typed one: closed at every level, the first offence named by field.
import { z } from 'zod';
import { checkJson, isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import { AUTHORIZATION_MODES } from '../../kernel/identity.ts';
import type { AuthorizationMode } from '../../kernel/identity.ts';
import { modeProblem } from '../../kernel/policy/delegation.ts';
import type { TurnInput, TurnMessage } from './contract.ts';

// What a turn may weigh before its own limit is looked at; only guards the reader itself.
const INPUT_LIMITS = { maxDepth: 64, maxBytes: 32 * 1024 * 1024 };

const word = z.string().trim().min(1);
const count = z.int().positive();
const anyObject: z.ZodType<JsonObject> = z.record(z.string(), z.json());

const message: z.ZodType<TurnMessage> = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  tool_name: z.exactOptional(z.string().min(1)),
  tool_call_id: z.exactOptional(z.string().min(1)),
});

/** Any other mode is refused wherever a turn is described, also where nobody runs it yet. */
export const authorizationMode: z.ZodType<AuthorizationMode> = z.enum(AUTHORIZATION_MODES, {
  error: ({ input }) => (typeof input === 'string' ? modeProblem(input) : undefined),
});

export const turnInputSchema: z.ZodType<TurnInput> = z.strictObject({
  messages: z.array(message),
  session_id: z.exactOptional(word),
  intent: z.exactOptional(word),
  model_profile: z.exactOptional(word),
  url: z.exactOptional(word),
  stream: z.exactOptional(z.boolean()),
  tool_catalog: z.exactOptional(
    z.array(
      z.strictObject({
        name: word,
        description: z.exactOptional(z.string().min(1)),
        input_schema: z.exactOptional(anyObject),
      }),
    ),
  ),
  intent_catalog: z.exactOptional(z.array(z.strictObject({ id: word, description: word }))),
  limits: z.exactOptional(
    z.strictObject({
      max_turns_per_session: z.exactOptional(count),
      max_tool_calls_per_session: z.exactOptional(count),
      max_input_bytes: z.exactOptional(count),
    }),
  ),
  external_run_id: z.exactOptional(word),
  authorization: z.exactOptional(
    z.strictObject({
      mode: authorizationMode,
      delegated_principal_id: z.exactOptional(word),
      delegated_scope: z.exactOptional(word),
    }),
  ),
});

const COMMON_KEYS: ReadonlySet<string> = new Set(['messages', 'session_id']);

function plainMessage(value: JsonValue): TurnMessage | undefined {
  if (!isObject(value) || Object.keys(value).length !== 2) return undefined;
  const { role, content } = value;
  return role === 'user' && typeof content === 'string' ? { role, content } : undefined;
}

/** The input of most turns, a session and what its user says; undefined: it is read by the schema. */
function commonInput(value: JsonValue): TurnInput | undefined {
  if (!isObject(value) || !Object.keys(value).every((key) => COMMON_KEYS.has(key))) return undefined;
  const { messages, session_id: id } = value;
  if (!Array.isArray(messages)) return undefined;
  const said: TurnMessage[] = [];
  for (const one of messages) {
    const plain = plainMessage(one);
    if (plain === undefined) return undefined;
    said.push(plain);
  }
  if (id === undefined) return 'session_id' in value ? undefined : { messages: said };
  const isId = typeof id === 'string' && id !== '' && id === id.trim();
  return isId ? { messages: said, session_id: id } : undefined;
}

/** Throws INVALID_INPUT with `details.field`. */
export function parseTurnInput(value: unknown): TurnInput {
  const checked = checkJson(value, INPUT_LIMITS);
  return commonInput(checked) ?? parseWith(turnInputSchema, checked);
}
