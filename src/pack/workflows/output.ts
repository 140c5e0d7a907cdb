// Owns what a node's final turn gives to the nodes after it, and whether it is what the node promised.
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';
import { checkArgs } from '../../kernel/policy/arg-schema.ts';
import type { PreparedSchema } from '../../kernel/policy/arg-schema.ts';
import type { LoopError } from '../loop/client-port.ts';
import { unfenced } from '../turn/governed-text.ts';
import type { TurnOutput } from '../turn/contract.ts';
import { bounded } from '../untrusted.ts';
import type { NodeOutput } from './contract.ts';

export type ReadOutput = { ok: true; output: NodeOutput } | { ok: false; error: LoopError };

const SHOWN_CHARS = 2000;

function mismatch(why: string): ReadOutput {
  return {
    ok: false,
    error: { code: 'INVALID_OUTPUT', message: `The answer does not fit the output_schema: ${why}` },
  };
}

/** The final turn as an output; with a schema the message must be JSON that fits it. */
export function readOutput(turn: TurnOutput, schema: PreparedSchema | undefined): ReadOutput {
  const { status, assistant_message } = turn;
  if (schema === undefined) return { ok: true, output: { status, assistant_message } };
  let structured: JsonValue;
  try {
    structured = parseJson(unfenced(assistant_message));
  } catch (thrown) {
    return mismatch((thrown as Error).message);
  }
  const checked = checkArgs(schema, structured);
  if (!checked.ok) return mismatch(`${checked.path} ${checked.error}`);
  return { ok: true, output: { status, assistant_message, structured } };
}

/** What of an output the evidence shows, before redaction. */
export function shownOutput({ status, assistant_message }: NodeOutput): JsonObject {
  return { status, assistant_message };
}

/** The rest of it, after redaction: a cut secret is no longer recognized. */
export function cutOutput(shown: JsonObject): JsonObject {
  const { assistant_message: message } = shown;
  if (typeof message !== 'string') return shown;
  const { text, cutFrom } = bounded(message, SHOWN_CHARS);
  return cutFrom === undefined ? shown : { ...shown, assistant_message: text, cut_from: cutFrom };
}

/** An output from the payload that sealed it. */
export function outputFrom(sealed: JsonValue): NodeOutput | undefined {
  const output = isObject(sealed) ? sealed.output : undefined;
  if (!isObject(output)) return undefined;
  const { status, assistant_message, structured } = output;
  if (typeof status !== 'string' || typeof assistant_message !== 'string') return undefined;
  return { status, assistant_message, ...(structured === undefined ? {} : { structured }) };
}
