// The floor of a durable run: the same loop by hand. Model, tool, model; four commits, none skipped, none grouped.
import { openChain } from './chain.mjs';

export function openJournal(path) {
  const chain = openChain(path);
  let runs = 0;
  return {
    async run(model, tool, text) {
      const id = `run-${++runs}`;
      const messages = [{ role: 'user', content: text }];
      const asked = await model(messages);
      chain.append(id, 'tool_requested', { messages, asked });
      const [wanted] = asked.toolCalls;
      const input = JSON.parse(wanted.rawInput);
      chain.append(id, 'tool_started', { name: wanted.name, input });
      const result = await tool(input);
      chain.append(id, 'tool_finished', { name: wanted.name, result });
      messages.push({ role: 'assistant', content: '', toolCalls: asked.toolCalls });
      messages.push({ role: 'tool', content: JSON.stringify(result) });
      const said = await model(messages);
      chain.append(id, 'replied', { said });
      return said.text;
    },
    written: chain.written,
    close: chain.close,
  };
}
