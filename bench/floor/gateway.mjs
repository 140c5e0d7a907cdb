// The floor of a governed call: what a person would write by hand in an afternoon. An allow list, an intent committed
// before the call and its result after it, both hash-chained. With `--pass-through`: nothing but forwarding.
//   node gateway.mjs <journal.db> [--pass-through] -- <downstream program and arguments>
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { openChain } from './chain.mjs';

const [path, ...rest] = process.argv.slice(2);
const split = rest.indexOf('--');
const passThrough = rest.slice(0, split).includes('--pass-through');
const [command, ...args] = rest.slice(split + 1);

const ALLOWED = new Set(['echo']);
const journal = passThrough ? undefined : openChain(path);

const downstream = new Client(
  { name: 'gateway', version: '1.0.0' },
  { capabilities: {}, versionNegotiation: { mode: { pin: '2026-07-28' } } },
);
await downstream.connect(new StdioClientTransport({ command, args, stderr: 'ignore' }));
const listed = await downstream.listTools();

let calls = 0;

async function governed(params) {
  if (!ALLOWED.has(params.name)) {
    journal.append('session', 'denied', params);
    return { isError: true, content: [{ type: 'text', text: 'not allowed' }] };
  }
  const id = ++calls;
  journal.append('session', 'intent', { id, name: params.name, arguments: params.arguments });
  const result = await downstream.callTool({ name: params.name, arguments: params.arguments });
  journal.append('session', 'result', { id, result });
  return result;
}

serveStdio(() => {
  const server = new McpServer({ name: 'gateway', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.server.setRequestHandler('tools/list', () => ({ tools: listed.tools }));
  server.server.setRequestHandler('tools/call', ({ params }) =>
    passThrough ? downstream.callTool({ name: params.name, arguments: params.arguments }) : governed(params),
  );
  return server;
});
process.stdin.on('close', () => process.exit(0));
