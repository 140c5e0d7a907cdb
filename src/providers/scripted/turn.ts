// Owns what a scripted model says: which turn of its script is due, and its values filled in. Pure.
//
// A turn with `when` is taken, first match first, before any other; the turns without one follow the session's count.
// A string in a tool's input may take values from the newest tool message, when that is JSON:
//   "{{tool_result.items.0.path}}"        the value itself, of whatever type
//   "see {{tool_result.items.0.path}}"    the value as text
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';
import type { ModelInput, ModelMessage, ModelOutput } from '../contract.ts';
import type { Script, ScriptTurn } from './script.ts';

const LAST_TURN: ScriptTurn = { status: 'complete', reply: 'final_answer' };

function isMet(when: NonNullable<ScriptTurn['when']>, newest: ModelMessage | undefined): boolean {
  if (newest === undefined) return false;
  const { last_tool: tool, contains } = when;
  if (tool !== undefined && !(newest.role === 'tool' && newest.toolName === tool)) return false;
  return contains === undefined || newest.content.includes(contains);
}

function dueTurn(script: Script, input: ModelInput): ScriptTurn {
  const newest = input.messages.findLast((message) => message.role === 'user' || message.role === 'tool');
  const met = script.turns.find((turn) => turn.when !== undefined && isMet(turn.when, newest));
  const counted = script.turns.filter((turn) => turn.when === undefined);
  return met ?? counted[input.turnIndex] ?? script.fallback ?? LAST_TURN;
}

function lastResult(input: ModelInput): JsonValue | undefined {
  const message = input.messages.findLast((one) => one.role === 'tool');
  if (message === undefined) return undefined;
  try {
    return parseJson(message.content);
  } catch {
    return undefined;
  }
}

function valueAt(result: JsonValue | undefined, path: string): JsonValue {
  let at: unknown = result;
  for (const step of path.split('.')) {
    at = Array.isArray(at) || isObject(at) ? Object.getOwnPropertyDescriptor(at, step)?.value : undefined;
  }
  if (at === undefined) {
    throw new RuntimeError(
      'PROVIDER_MALFORMED_RESPONSE',
      `The script asks for tool_result.${path}, which the newest tool result does not have.`,
      { reason: 'template without a value' },
    );
  }
  return at as JsonValue;
}

const TEMPLATE = /\{\{tool_result\.([\w.-]+)\}\}/g;
const ONLY_TEMPLATE = /^\{\{tool_result\.([\w.-]+)\}\}$/;

function filled(value: JsonValue, result: JsonValue | undefined): JsonValue {
  if (typeof value === 'string') {
    const path = ONLY_TEMPLATE.exec(value)?.[1];
    if (path !== undefined) return valueAt(result, path);
    return value.replaceAll(TEMPLATE, (_, inner: string) => {
      const found = valueAt(result, inner);
      return typeof found === 'string' ? found : JSON.stringify(found);
    });
  }
  if (Array.isArray(value)) return value.map((one) => filled(one, result));
  return value !== null && typeof value === 'object' ? filledObject(value, result) : value;
}

function filledObject(value: JsonObject, result: JsonValue | undefined): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, result)]));
}

/** The answer of a scripted model, in the governed JSON form in which a real one is asked to answer. */
export function speak(script: Script, input: ModelInput): ModelOutput {
  const turn = dueTurn(script, input);
  const result = lastResult(input);
  const toolCalls = (turn.tool_calls ?? []).map((call, index) => ({
    id: `call_${input.turnIndex}_${index}`,
    name: call.name,
    rawInput: JSON.stringify(filledObject(call.input, result)),
  }));
  const calls = toolCalls.length > 0;
  const intent = turn.intent ?? input.intents[0]?.id;
  const finishReason = turn.finish_reason ?? (calls ? 'tool_calls' : 'stop');
  return {
    text: JSON.stringify({
      status: turn.status ?? (calls ? 'tool_request' : 'reply'),
      ...(intent === undefined ? {} : { intent }),
      assistant_message: turn.reply ?? '',
    }),
    toolCalls,
    finishReason,
    complete: finishReason !== 'length' && finishReason !== 'content_filter',
  };
}
