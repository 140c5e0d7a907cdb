// Owns the shape of a turn on the wire: what is parsed, and what is answered.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { authorizationMode } from '../../pack/turn/input.ts';
import type { TurnInput, TurnMessage } from '../../pack/turn/contract.ts';
import { closed, DECISION_VIEW, jsonObject, list, oneOf, OPEN, TEXT } from './schemas.ts';

const word = z.string().min(1);
const count = z.int().positive();

export const TURN_MESSAGE: z.ZodType<TurnMessage> = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  tool_name: z.exactOptional(word),
  tool_call_id: z.exactOptional(word),
});

/** Leaves out what was not sent: an absent field and an undefined one are not the same to the runtime. */
export const TURN_INPUT: z.ZodType<TurnInput> = z.strictObject({
  messages: z
    .array(TURN_MESSAGE)
    .describe('What is new; for an existing session, user and tool messages only.'),
  session_id: z.exactOptional(word).describe('Absent: a new session is made and its id returned.'),
  intent: z.exactOptional(word),
  model_profile: z.exactOptional(word),
  url: z.exactOptional(word).describe('Only asserts the configured base URL.'),
  stream: z.exactOptional(z.boolean()),
  tool_catalog: z
    .exactOptional(
      z.array(
        z.strictObject({
          name: word,
          description: z.exactOptional(word),
          input_schema: z.exactOptional(jsonObject),
        }),
      ),
    )
    .describe('Narrows the tools the model may ask for, by name.'),
  intent_catalog: z.exactOptional(z.array(z.strictObject({ id: word, description: word }))),
  limits: z
    .exactOptional(
      z.strictObject({
        max_turns_per_session: z.exactOptional(count),
        max_tool_calls_per_session: z.exactOptional(count),
        max_input_bytes: z.exactOptional(count),
      }),
    )
    .describe('May only tighten the configured ones.'),
  external_run_id: z.exactOptional(word),
  authorization: z.exactOptional(
    z.strictObject({
      mode: authorizationMode,
      delegated_principal_id: z.exactOptional(word),
      delegated_scope: z.exactOptional(word),
    }),
  ),
});

const whole: JsonObject = { type: 'integer', minimum: 0 };
export const TURN_OUTPUT: JsonObject = closed(
  {
    status: oneOf('reply', 'tool_request', 'complete', 'escalate'),
    intent: { type: 'string', minLength: 1 },
    assistant_message: TEXT,
    requested_tool: closed({ name: TEXT, input: OPEN }),
    requested_tools: list(closed({ name: TEXT, input: OPEN, tool_call_id: TEXT, decision: DECISION_VIEW })),
    tool_call_id: TEXT,
    decision: DECISION_VIEW,
    provider: closed({
      kind: oneOf('openai_compatible', 'messages_compatible', 'scripted'),
      model: TEXT,
    }),
    usage: closed({ input_tokens: whole, output_tokens: whole, total_tokens: whole }, [
      'input_tokens',
      'output_tokens',
      'total_tokens',
    ]),
    finish_reason: { type: 'string', minLength: 1 },
    session_id: TEXT,
    run_id: TEXT,
    trace_id: TEXT,
    turn_index: whole,
  },
  ['requested_tool', 'requested_tools', 'tool_call_id', 'decision', 'usage'],
);
