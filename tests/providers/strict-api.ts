// The published rules of both APIs for a request body, as a strict server enforces them: each answers the first offence.
interface Block {
  type: string;
  id?: string;
  name?: string;
  text?: string;
  tool_use_id?: string;
  input?: unknown;
}

interface Message {
  role: string;
  content?: string | Block[] | null;
  tool_call_id?: string;
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
}

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

function isObjectSchema(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && (schema as { type?: unknown }).type === 'object';
}

export function offenceOfChat(body: Record<string, unknown>): string | undefined {
  for (const tool of (body['tools'] ?? []) as { function: { name: string; parameters: unknown } }[]) {
    if (!NAME.test(tool.function.name)) return `tool name ${tool.function.name}`;
    if (!isObjectSchema(tool.function.parameters)) return `schema of ${tool.function.name}`;
  }
  let open: string[] = [];
  for (const message of body['messages'] as Message[]) {
    if (!['system', 'user', 'assistant', 'tool'].includes(message.role)) return `role ${message.role}`;
    if (message.role === 'tool') {
      const id = message.tool_call_id ?? '';
      if (!open.includes(id)) return `tool result ${id} without a call`;
      open = open.filter((one) => one !== id);
      continue;
    }
    if (open.length > 0) return `calls without a result: ${open.join(', ')}`;
    if (message.role === 'assistant') {
      const calls = message.tool_calls ?? [];
      if ((message.content ?? '') === '' && calls.length === 0) return 'assistant says nothing';
      for (const call of calls) {
        if (!NAME.test(call.function.name)) return `call name ${call.function.name}`;
        if (call.id === '' || call.id.length > 40) return `call id ${call.id}`;
        JSON.parse(call.function.arguments);
      }
      open = calls.map((call) => call.id);
    } else if (typeof message.content !== 'string') return `${message.role} without content`;
  }
  return open.length > 0 ? `calls without a result at the end: ${open.join(', ')}` : undefined;
}

function offenceOfBlock(block: Block): string | undefined {
  if (block.type === 'text' && (block.text ?? '').trim() === '') return 'a text block is blank';
  if (block.type === 'tool_use' && !NAME.test(block.name ?? '')) return `tool_use name ${block.name}`;
  if (block.type === 'tool_use' && !/^[a-zA-Z0-9_-]+$/.test(block.id ?? '')) return `tool_use id ${block.id}`;
  return undefined;
}

function offenceOfTurn(message: Message, open: string[]): string | undefined {
  const blocks = message.content as Block[];
  if (!Array.isArray(blocks) || blocks.length === 0) return 'a message without content';
  const results = blocks.filter((block) => block.type === 'tool_result').map((block) => block.tool_use_id);
  if (message.role === 'assistant' && results.length > 0) return 'assistant holds a tool result';
  if (results.some((id) => id === undefined || !open.includes(id))) return 'a tool result without a call';
  if (new Set(results).size !== results.length || results.length !== open.length)
    return 'calls and results differ';
  if (blocks.slice(0, results.length).some((block) => block.type !== 'tool_result'))
    return 'results are not first';
  return blocks.map(offenceOfBlock).find((offence) => offence !== undefined);
}

export function offenceOfMessages(body: Record<string, unknown>): string | undefined {
  if (!Number.isInteger(body['max_tokens']) || Number(body['max_tokens']) < 1) return 'max_tokens';
  for (const tool of (body['tools'] ?? []) as { name: string; input_schema: unknown }[]) {
    if (!NAME.test(tool.name)) return `tool name ${tool.name}`;
    if (!isObjectSchema(tool.input_schema)) return `schema of ${tool.name}`;
  }
  const messages = body['messages'] as Message[];
  if (messages[0]?.role !== 'user') return 'the first message is not of the user';
  const seen = new Set<string>();
  let open: string[] = [];
  let previous = '';
  for (const message of messages) {
    if (message.role !== 'user' && message.role !== 'assistant') return `role ${message.role}`;
    if (message.role === previous) return 'two messages of one role in a row';
    previous = message.role;
    const offence = offenceOfTurn(message, open);
    if (offence !== undefined) return offence;
    open = (message.content as Block[]).flatMap((block) =>
      block.type === 'tool_use' ? [block.id ?? ''] : [],
    );
    if (open.some((id) => seen.has(id)) || new Set(open).size !== open.length)
      return 'a tool_use id stands twice';
    for (const id of open) seen.add(id);
  }
  return open.length > 0 ? 'a tool_use without a result at the end' : undefined;
}
