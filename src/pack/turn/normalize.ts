// Owns the meaning of a model's answer: one status, one intent, one message, the tools asked for; or why it is not a
// usable turn. Pure. Nothing is repaired: an answer that contradicts itself is malformed.
//
// N1  Tools and the status tool_request come together; `complete` or `escalate` beside a tool is a contradiction.
// N2  The model may name only an intent that it was offered; it never widens what its session is for.
// N3  An answer that was cut off asks for nothing.
import { canonicalJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';
import type { ModelOutput } from '../../providers/contract.ts';
import type { TurnStatus } from './contract.ts';
import { readGoverned } from './governed-text.ts';
import type { GovernedAnswer } from './governed-text.ts';

export interface AskedTool {
  name: string;
  input: JsonObject;
}

export interface NormalTurn {
  status: TurnStatus;
  intent: string;
  message: string;
  tools: AskedTool[];
  finishReason: string;
}

export interface Expected {
  /** What the turn is for unless the model narrows it. */
  intent: string;
  /** Ids the model may name. */
  offered: readonly string[];
}

export type Normalized =
  { ok: true; turn: NormalTurn } | { ok: false; reason: string; field?: string; finishReason: string };

type Malformed = { reason: string; field?: string };

function readTools(output: ModelOutput): AskedTool[] | Malformed {
  const tools: AskedTool[] = [];
  for (const [index, call] of output.toolCalls.entries()) {
    const field = `/tool_calls/${index}`;
    if (call.name.trim() === '') return { reason: 'tool_without_name', field };
    try {
      const input = parseJson(call.rawInput.trim() === '' ? '{}' : call.rawInput);
      if (!isObject(input)) return { reason: 'tool_arguments_not_an_object', field };
      tools.push({ name: call.name, input });
    } catch {
      return { reason: 'tool_arguments_not_json', field };
    }
  }
  return tools;
}

function isSame(a: AskedTool, b: AskedTool): boolean {
  return a.name === b.name && canonicalJson(a.input) === canonicalJson(b.input);
}

/** A tool in the text counts for models without tool calls; beside tool calls it may only repeat one of them. */
function allTools(called: AskedTool[], written: AskedTool | undefined): AskedTool[] | Malformed {
  if (written === undefined) return called;
  if (called.length === 0) return [written];
  return called.some((tool) => isSame(tool, written)) ? called : { reason: 'two_different_tool_requests' };
}

function statusOf(said: GovernedAnswer | undefined, tools: AskedTool[]): TurnStatus | Malformed {
  const status = said?.status ?? 'reply';
  if (tools.length > 0) {
    return status === 'complete' || status === 'escalate'
      ? { reason: `${status}_with_a_tool`, field: '/status' }
      : 'tool_request';
  }
  if (status === 'tool_request') return { reason: 'tool_request_without_a_tool', field: '/requested_tool' };
  if (said !== undefined && said.assistant_message === undefined) {
    return { reason: 'no_message', field: '/assistant_message' };
  }
  return status;
}

/** N3, and the governed form read strictly; undefined: plain text. */
function saidOf(output: ModelOutput): { said: GovernedAnswer | undefined } | Malformed {
  const text = readGoverned(output.text);
  const asks = output.toolCalls.length > 0 || text.kind !== 'plain';
  if (!output.complete && asks) return { reason: 'truncated' };
  if (text.kind === 'malformed') return text;
  return { said: text.kind === 'governed' ? text.answer : undefined };
}

function judged(output: ModelOutput, expected: Expected): Omit<NormalTurn, 'finishReason'> | Malformed {
  const read = saidOf(output);
  if ('reason' in read) return read;
  const { said } = read;
  const called = readTools(output);
  if ('reason' in called) return called;
  const tools = allTools(called, said?.requested_tool);
  if ('reason' in tools) return tools;
  const status = statusOf(said, tools);
  if (typeof status === 'object') return status;
  const intent = said?.intent ?? expected.intent;
  if (intent !== expected.intent && !expected.offered.includes(intent)) {
    return { reason: 'unknown_intent', field: '/intent' }; // N2
  }
  const message = said === undefined ? output.text : (said.assistant_message ?? '');
  return { status, intent, message, tools };
}

/** The turn that a model's answer means. Never throws. */
export function normalize(output: ModelOutput, expected: Expected): Normalized {
  const finishReason = output.finishReason === '' ? 'stop' : output.finishReason;
  const turn = judged(output, expected);
  return 'reason' in turn
    ? { ok: false, ...turn, finishReason }
    : { ok: true, turn: { finishReason, ...turn } };
}
