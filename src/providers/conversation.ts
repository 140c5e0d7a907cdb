// Owns the step from a history to one that a strict API accepts: each assistant call is followed at once by exactly
// one result, call ids are unique and of accepted characters, and a result nobody asked for is told as plain text.
import type { ModelMessage } from './contract.ts';
import { freeForm } from './wire-names.ts';

type AssistantMessage = Extract<ModelMessage, { role: 'assistant' }>;
type ToolMessage = Extract<ModelMessage, { role: 'tool' }>;
type AssistantCall = AssistantMessage['toolCalls'][number];

// The narrowest limit that a compatible API sets on the id of a call.
const MAX_ID_LENGTH = 40;

interface Results {
  /** The first result of this call id that stands after `position` and was not taken before. */
  take(id: string, position: number): ToolMessage | undefined;
  isTaken(message: ToolMessage): boolean;
}

function resultsOf(messages: ModelMessage[]): Results {
  const waiting = new Map<string, { position: number; message: ToolMessage }[]>();
  messages.forEach((message, position) => {
    if (message.role !== 'tool') return;
    const queue = waiting.get(message.toolCallId) ?? [];
    queue.push({ position, message });
    waiting.set(message.toolCallId, queue);
  });
  const taken = new Set<ToolMessage>();
  return {
    take(id, position) {
      const found = waiting.get(id)?.find((one) => one.position > position && !taken.has(one.message));
      if (found !== undefined) taken.add(found.message);
      return found?.message;
    },
    isTaken: (message) => taken.has(message),
  };
}

function unanswered(call: AssistantCall): ToolMessage {
  return {
    role: 'tool',
    toolCallId: call.id,
    toolName: call.name,
    content: 'No result of this call is recorded.',
    isError: true,
  };
}

function asText(message: ToolMessage): ModelMessage {
  return {
    role: 'user',
    content: `Result of tool ${message.toolName}, reported without a call:\n${message.content}`,
  };
}

export function pairCalls(messages: ModelMessage[]): ModelMessage[] {
  const results = resultsOf(messages);
  const ids = new Set<string>();
  const paired: ModelMessage[] = [];
  messages.forEach((message, position) => {
    if (message.role === 'tool') {
      if (!results.isTaken(message)) paired.push(asText(message));
    } else if (message.role === 'assistant') {
      const pairs = message.toolCalls.map((call) => {
        const id = freeForm(call.id, (form) => ids.has(form), MAX_ID_LENGTH);
        ids.add(id);
        const result = results.take(call.id, position) ?? unanswered(call);
        return { call: { ...call, id }, result: { ...result, toolCallId: id, toolName: call.name } };
      });
      paired.push({ ...message, toolCalls: pairs.map((pair) => pair.call) });
      paired.push(...pairs.map((pair) => pair.result));
    } else {
      paired.push(message);
    }
  });
  return paired;
}
