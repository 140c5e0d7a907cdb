// Owns the map from a vendor's answer, whole or streamed, to ModelOutput. A streamed tool call counts only after the
// stream has finished in order: a cut stream can carry a call whose arguments are cut, and look complete.
import { RuntimeError } from '../base/errors.ts';
import type { ModelOutput, ModelUsage } from './contract.ts';
import { eventFailure, malformed } from './failure.ts';
import type { VendorAnswer, VendorFinish, VendorPart, VendorUsage } from './model-port.ts';
import type { WireNames } from './wire-names.ts';

const CUT: ReadonlySet<string> = new Set(['length', 'content-filter', 'error']);

function toUsage(usage: VendorUsage): ModelUsage | undefined {
  const isCount = (value: number | undefined): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 0;
  const input = usage.inputTokens.total;
  const output = usage.outputTokens.total;
  const counted: ModelUsage = {};
  if (isCount(input)) counted.input_tokens = input;
  if (isCount(output)) counted.output_tokens = output;
  if (isCount(input) && isCount(output)) counted.total_tokens = input + output;
  return Object.keys(counted).length > 0 ? counted : undefined;
}

function toToolCalls(parts: VendorPart[], names: WireNames): ModelOutput['toolCalls'] {
  return parts
    .filter((part) => part.type === 'tool-call')
    .map((part) => ({
      id: (part.toolCallId ?? '').toWellFormed(),
      name: names.fromWire((part.toolName ?? '').toWellFormed()),
      rawInput: part.input ?? '',
    }));
}

export function toOutput(answer: VendorAnswer, names: WireNames): ModelOutput {
  const { finishReason: finish, content } = answer;
  const usage = toUsage(answer.usage);
  return {
    text: content
      .map((part) => (part.type === 'text' ? (part.text ?? '') : ''))
      .join('')
      .toWellFormed(),
    toolCalls: toToolCalls(content, names),
    finishReason: finish.raw === undefined || finish.raw === '' ? finish.unified : finish.raw.toWellFormed(),
    complete: !CUT.has(finish.unified),
    ...(usage === undefined ? {} : { usage }),
  };
}

/** An error told inside a stream: the provider's own object, or what the vendor package found wrong with an event. */
function streamFailure(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (error instanceof Error) return malformed('an event of the stream is not of this API');
  return eventFailure(error);
}

/** Reads a stream to its end, telling each piece of text as it comes. */
export async function readStream(
  parts: AsyncIterable<VendorPart>,
  onText: (delta: string) => void,
): Promise<VendorAnswer> {
  const content: VendorPart[] = [];
  let finish: VendorFinish | undefined;
  let usage: VendorUsage = { inputTokens: { total: undefined }, outputTokens: { total: undefined } };
  for await (const part of parts) {
    if (part.type === 'error') throw streamFailure(part.error);
    if (part.type === 'text-delta' && part.delta !== undefined && part.delta !== '') {
      content.push({ type: 'text', text: part.delta });
      onText(part.delta);
    } else if (part.type === 'tool-call') {
      content.push(part);
    } else if (part.type === 'finish') {
      finish = part.finishReason;
      usage = part.usage ?? usage;
    }
  }
  if (finish === undefined || finish.unified === 'error') {
    throw malformed('the stream ended before the answer did');
  }
  return { content, finishReason: finish, usage };
}
