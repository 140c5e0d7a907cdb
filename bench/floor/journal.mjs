// The floor of a durable run: the same loop by hand. Model, tool, model; four commits, none skipped, none grouped. Kept as a
// session that outlives its request it is five: its input is on disk before the model is asked for the first time.
import { openChain } from './chain.mjs';

export function openJournal(path) {
  const chain = openChain(path);
  let runs = 0;

  async function turns(id, model, tool, messages, first) {
    const asked = await model(messages);
    chain.append(id, 'tool_requested', { ...first, asked });
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
  }

  return {
    async run(model, tool, text) {
      const messages = [{ role: 'user', content: text }];
      return turns(`run-${++runs}`, model, tool, messages, { messages });
    },
    async session(model, tool, text) {
      const id = `session-${++runs}`;
      const messages = [{ role: 'user', content: text }];
      chain.append(id, 'admitted', { messages });
      return turns(id, model, tool, messages, {});
    },
    written: chain.written,
    close: chain.close,
  };
}
