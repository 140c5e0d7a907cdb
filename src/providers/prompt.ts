// Owns the map from a paired history and the tools of a turn to the vendors' common prompt form. Pure.
import type { ModelInput, ModelMessage, ModelTool } from './contract.ts';
import type { PromptMessage, PromptTool } from './model-port.ts';
import { createWireNames } from './wire-names.ts';
import type { WireNames } from './wire-names.ts';

/** The names of one request: of its tools first, then of earlier calls to tools that are no longer offered. */
export function namesOf(input: ModelInput): WireNames {
  const called = input.messages.flatMap((message) => {
    if (message.role === 'assistant') return message.toolCalls.map((call) => call.name);
    return message.role === 'tool' ? [message.toolName] : [];
  });
  return createWireNames([...input.tools.map((tool) => tool.name), ...called]);
}

function toPromptMessage(message: ModelMessage, names: WireNames): PromptMessage {
  switch (message.role) {
    case 'system':
      return { role: 'system', content: message.content };
    case 'user':
      return { role: 'user', content: [{ type: 'text', text: message.content }] };
    case 'assistant': {
      const calls = message.toolCalls.map((call) => ({
        type: 'tool-call' as const,
        toolCallId: call.id,
        toolName: names.toWire(call.name),
        input: call.input,
      }));
      const text = message.content === '' ? [] : [{ type: 'text' as const, text: message.content }];
      return { role: 'assistant', content: [...text, ...calls] };
    }
    case 'tool': {
      const output = { type: message.isError ? 'error-text' : 'text', value: message.content } as const;
      const toolName = names.toWire(message.toolName);
      return {
        role: 'tool',
        content: [{ type: 'tool-result', toolCallId: message.toolCallId, toolName, output }],
      };
    }
  }
}

export function toPrompt(messages: ModelMessage[], names: WireNames): PromptMessage[] {
  return messages.map((message) => toPromptMessage(message, names));
}

export function toTools(tools: ModelTool[], names: WireNames): PromptTool[] {
  return tools.map((tool) => ({
    type: 'function',
    name: names.toWire(tool.name),
    description: tool.description,
    // Both APIs refuse a schema whose top level does not say that it describes an object.
    inputSchema: { type: 'object', ...tool.inputSchema },
  }));
}
