// The floor of the relay: one hop on the bare SDK, which passes calls on and their progress back, and does nothing else.
//   node hop.mjs <downstream program and arguments>
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

const [command, ...args] = process.argv.slice(2);

const downstream = new Client(
  { name: 'hop', version: '1.0.0' },
  { capabilities: {}, versionNegotiation: { mode: { pin: '2026-07-28' } } },
);
await downstream.connect(new StdioClientTransport({ command, args, stderr: 'ignore' }));
const listed = await downstream.listTools();

function forward({ params: { name, arguments: given, _meta } }, { mcpReq }) {
  const progressToken = _meta?.progressToken;
  const onprogress = (progress) =>
    mcpReq.notify({ method: 'notifications/progress', params: { ...progress, progressToken } });
  return downstream.callTool({ name, arguments: given }, progressToken === undefined ? {} : { onprogress });
}

serveStdio(() => {
  const server = new McpServer({ name: 'hop', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.server.setRequestHandler('tools/list', () => ({ tools: listed.tools }));
  server.server.setRequestHandler('tools/call', forward);
  return server;
});
process.stdin.on('close', () => process.exit(0));
