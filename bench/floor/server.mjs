// The floor of a start: a bare server of the SDK with as many tools as it is told.
//   node server.mjs <tools>
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const tools = Number(process.argv[2]);

serveStdio(() => {
  const server = new McpServer({ name: 'bare', version: '1.0.0' });
  for (let at = 0; at < tools; at++) {
    server.registerTool(
      `tool_${at}`,
      { description: 'Answers with its text.', inputSchema: z.strictObject({ text: z.string() }) },
      async ({ text }) => ({ content: [{ type: 'text', text }] }),
    );
  }
  return server;
});
process.stdin.on('close', () => process.exit(0));
