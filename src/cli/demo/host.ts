// Owns the demo's host: a real MCP client connected to `agent-runtime serve` in a process of its own, which drives the
// loop the way any host would: execute a turn, let the kernel run what it requested, go on until the turn is terminal.
import { setTimeout as wait } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import type { CallAnswer } from '../../runtime/contract.ts';
import type { TurnFailure, TurnOutput } from '../../pack/turn/contract.ts';

/** How this host answers a question of the server: decide and answer, or refuse to show it. */
export type Answerer = (
  text: string,
) => Promise<
  { action: 'accept'; content: { decision: 'approve' | 'reject'; note?: string } } | { action: 'decline' }
>;

export interface HostOptions {
  command: string;
  args: string[];
  env: Record<string, string>;
  answer: Answerer;
}

export interface Host {
  turn(input: Record<string, unknown>): Promise<TurnOutput | TurnFailure>;
  callTool(sessionId: string, toolCallId: string): Promise<CallAnswer>;
  close(): Promise<void>;
}

/** Starts the server and connects to it. */
export async function connectHost(options: HostOptions): Promise<Host> {
  const client = new Client(
    { name: 'agent-runtime-demo', version: '1.0.0' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: 'auto' } },
  );
  client.setRequestHandler('elicitation/create', async (request) => {
    const { message } = request.params;
    return options.answer(message);
  });
  const { command, args, env } = options;
  await client.connect(new StdioClientTransport({ command, args, env, stderr: 'ignore' }));
  const call = async (name: string, input: Record<string, unknown>): Promise<unknown> => {
    const result = await client.callTool({ name, arguments: input });
    return result.structuredContent;
  };
  return {
    turn: async (input) => (await call('agent:execute-turn', input)) as TurnOutput | TurnFailure,
    callTool: async (session_id, tool_call_id) =>
      (await call('agent:call-tool', { session_id, tool_call_id })) as CallAnswer,
    close: () => client.close(),
  };
}

/** A person's pace: an answer that comes faster than anybody can read is not taken for a person's. */
export function readingTime(): Promise<void> {
  return wait(1200);
}
