// Owns how a conversation is arranged for messages APIs: system text apart and first, no empty text, a user speaks first.
import type { ModelMessage } from '../contract.ts';

// Such an API refuses a text block without a visible character.
function saysSomething(message: ModelMessage): boolean {
  if (message.role === 'tool') return true;
  if (message.role === 'assistant' && message.toolCalls.length > 0) return true;
  return message.content.trim() !== '';
}

/** Text of white space only, next to calls, is refused like an empty block. */
function withoutBlankText(message: ModelMessage): ModelMessage {
  return message.role === 'assistant' && message.content.trim() === ''
    ? { ...message, content: '' }
    : message;
}

export function arrange(messages: ModelMessage[]): ModelMessage[] {
  const kept = messages.filter(saysSomething).map(withoutBlankText);
  const system = kept.filter((message) => message.role === 'system');
  const spoken = kept.filter((message) => message.role !== 'system');
  const opening: ModelMessage[] =
    spoken[0]?.role === 'user' ? [] : [{ role: 'user', content: '(The conversation starts here.)' }];
  return [...system, ...opening, ...spoken];
}
