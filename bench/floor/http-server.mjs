// The floor of serving over HTTP: the SDK's own handler behind its own Node adapter, with one prompt. Prints its port.
//   node http-server.mjs
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'bare', version: '1.0.0' });
  server.registerPrompt('review-approvals', { description: 'Reviews.' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'x'.repeat(300) } }],
  }));
  return server;
});
const server = createServer(toNodeHandler(handler));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
