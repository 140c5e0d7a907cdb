// Owns how a conversation is arranged for chat-completions APIs: as it stands, without assistant messages that say nothing.
import type { ModelMessage } from '../contract.ts';

export function arrange(messages: ModelMessage[]): ModelMessage[] {
  return messages.filter(
    (message) => message.role !== 'assistant' || message.content !== '' || message.toolCalls.length > 0,
  );
}
