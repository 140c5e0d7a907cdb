// Owns the check of a turn's output on its way out: the one normalized shape, whatever the provider and the mode.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import type { DecisionView, TurnOutput } from './contract.ts';

const word = z.string().min(1);
const whole = z.int().nonnegative();
const input: z.ZodType<JsonObject> = z.record(z.string(), z.json());

const decision: z.ZodType<DecisionView> = z.strictObject({
  decision: z.enum(['allow', 'deny', 'approval_required']),
  rule_id: word,
  layer: word,
  reasons: z.array(z.string()),
  policy_digest: z.string(),
  on_deny: z.exactOptional(z.literal('end_run')),
});

const shape: z.ZodType<TurnOutput> = z.strictObject({
  status: z.enum(['reply', 'tool_request', 'complete', 'escalate']),
  intent: word,
  assistant_message: z.string(),
  requested_tool: z.exactOptional(z.strictObject({ name: word, input })),
  requested_tools: z.exactOptional(
    z.array(z.strictObject({ name: word, input, tool_call_id: word, decision })).min(1),
  ),
  tool_call_id: z.exactOptional(word),
  decision: z.exactOptional(decision),
  provider: z.strictObject({
    kind: z.enum(['openai_compatible', 'messages_compatible', 'scripted']),
    model: word,
  }),
  usage: z.exactOptional(
    z.strictObject({
      input_tokens: z.exactOptional(whole),
      output_tokens: z.exactOptional(whole),
      total_tokens: z.exactOptional(whole),
    }),
  ),
  finish_reason: word,
  session_id: word,
  run_id: word,
  trace_id: word,
  turn_index: whole,
});

export const turnOutputSchema: z.ZodType<TurnOutput> = shape.refine(
  (turn) => (turn.status === 'tool_request') === (turn.requested_tool !== undefined),
  { message: 'a requested tool and the status tool_request come together', path: ['requested_tool'] },
);

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

const USAGE_KEYS: ReadonlySet<string> = new Set(['input_tokens', 'output_tokens', 'total_tokens']);

function isUsage(usage: TurnOutput['usage']): boolean {
  if (usage === undefined) return true;
  return Object.entries(usage).every(
    ([key, count]) => USAGE_KEYS.has(key) && Number.isSafeInteger(count) && count >= 0,
  );
}

/** Whether what did not come from our own code, the provider's words and numbers, is as it must be. */
function isWhole(output: TurnOutput): boolean {
  const { assistant_message: message, provider, finish_reason: reason, requested_tool: tool } = output;
  return (
    typeof message === 'string' &&
    isText(provider.model) &&
    isText(reason) &&
    isUsage(output.usage) &&
    (output.requested_tools ?? []).every(({ name }) => isText(name)) &&
    (output.status === 'tool_request') === (tool !== undefined)
  );
}

/** The same output, or INVALID_OUTPUT with the field: only an output that is not whole is read field by field. */
export function checkOutput(output: TurnOutput): TurnOutput {
  return isWhole(output) ? output : parseWith(turnOutputSchema, output, 'INVALID_OUTPUT');
}
