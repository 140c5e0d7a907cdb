// Owns the client side of a measured server: the SDK's own client, over stdio or HTTP, of the modern era unless a gateway of
// others has to say which it speaks.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const MODERN = { pin: '2026-07-28' };

async function open(transport, mode) {
  const info = { name: 'bench', version: '1.0.0' };
  const client = new Client(info, { capabilities: {}, versionNegotiation: { mode } });
  await client.connect(transport);
  return client;
}

/** `node <args>` as a server, and a connected client. Standard error is dropped: the logs are not the figure. */
export function connect(args, { cwd, env = {}, mode = MODERN } = {}) {
  const command = process.execPath;
  return open(new StdioClientTransport({ command, args, cwd, env, stderr: 'ignore' }), mode);
}

export function connectHttp(url, { token, mode = MODERN } = {}) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return open(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }), mode);
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
