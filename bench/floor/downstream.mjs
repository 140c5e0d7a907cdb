// The tools behind every gateway that is measured, on the bare SDK: `echo` answers at once, `report` reports progress. Both
// say that they are reads of this machine. Progress carries the monotonic time at which it left, which on one machine is
// every process's.
//   node downstream.mjs           over stdio
//   node downstream.mjs --http    over HTTP, both eras; prints its port
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const annotations = { readOnlyHint: true, openWorldHint: false };

async function report({ gapMs }, { mcpReq }) {
  const { progressToken } = mcpReq._meta;
  await wait(gapMs);
  const params = { progressToken, progress: 1, message: String(process.hrtime.bigint()) };
  await mcpReq.notify({ method: 'notifications/progress', params });
  await wait(gapMs);
  return { content: [{ type: 'text', text: 'reported' }] };
}

function build() {
  const server = new McpServer({ name: 'probe', version: '1.0.0' });
  server.registerTool(
    'echo',
    { description: 'Answers with its text.', inputSchema: z.strictObject({ text: z.string() }), annotations },
    async ({ text }) => ({ content: [{ type: 'text', text }] }),
  );
  server.registerTool(
    'report',
    {
      description: 'Reports progress once after so many milliseconds, and answers after as many again.',
      inputSchema: z.strictObject({ gapMs: z.int(), note: z.string() }),
      annotations,
    },
    report,
  );
  return server;
}

if (process.argv.includes('--http')) {
  const server = createServer(toNodeHandler(createMcpHandler(build)));
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  serveStdio(build);
  process.stdin.on('close', () => process.exit(0));
}
