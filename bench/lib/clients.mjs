// Owns the client side of a measured server: the SDK's own client over stdio, with the same era for every variant.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

/** `node <args>` as a server, and a connected client. Standard error is dropped: the logs are not the figure. */
export async function connect(args, { cwd, env = {} } = {}) {
  const client = new Client(
    { name: 'bench', version: '1.0.0' },
    { capabilities: {}, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args, cwd, env, stderr: 'ignore' }),
  );
  return client;
}

// 200 bytes, and never the same twice: an equal call would be counted as a cycle.
const FILL = 'x'.repeat(180);
let calls = 0;

/** One call of `tool`; `fits` must hold for its answer, or the figure would measure something else. */
export async function call(client, tool, { prefix = 'call', fits = echoes } = {}) {
  const text = `${prefix}-${++calls}-${FILL}`;
  const answer = await client.callTool({ name: tool, arguments: { text } });
  if (!fits(answer, text)) throw new Error(`${tool} answered ${JSON.stringify(answer).slice(0, 2000)}`);
}

export function echoes(answer, text) {
  return answer.isError !== true && JSON.stringify(answer.content).includes(text);
}
