// Owns the support desk, the MCP server of the bundled example: documents to search and read, tickets to open and read.
//   node desk.js [--db FILE]     otherwise DESK_DB, otherwise a file of this user in the temporary directory
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { McpServer } from '@modelcontextprotocol/server';
import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { openDesk } from './desk-store.ts';
import type { Desk } from './desk-store.ts';

const summary = z.object({ id: z.string(), title: z.string(), snippet: z.string() });
const document = z.object({ id: z.string(), title: z.string(), body: z.string() });
const ticket = z.object({
  id: z.string(),
  title: z.string(),
  body: z.string(),
  priority: z.string(),
  status: z.string(),
});

function answer(text: string, structuredContent: Record<string, unknown>): CallToolResult {
  return { content: [{ type: 'text', text }], structuredContent };
}

function notFound(what: string): CallToolResult {
  return { content: [{ type: 'text', text: `There is no ${what}.` }], isError: true };
}

async function progress(ctx: ServerContext, step: number, total: number, message: string): Promise<void> {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await ctx.mcpReq.notify({
    method: 'notifications/progress',
    params: { progressToken, progress: step, total, message },
  });
}

function registerDocuments(server: McpServer, desk: Desk): void {
  server.registerTool(
    'search_docs',
    {
      title: 'Search the support documentation',
      description: 'Finds support documents by words; best match first.',
      inputSchema: z.strictObject({
        query: z.string().min(1).max(500).describe('Words to look for.'),
        limit: z.int().min(1).max(20).optional().describe('How many documents at most; 5 if not given.'),
      }),
      outputSchema: z.object({ documents: z.array(summary) }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ query, limit }, ctx) => {
      await progress(ctx, 1, 2, 'searching');
      const documents = desk.search(query, limit ?? 5);
      await progress(ctx, 2, 2, `${documents.length} found`);
      const lines = documents.map(({ id, title, snippet }) => `${id}: ${title}. ${snippet}`);
      return answer(lines.length === 0 ? 'No document fits.' : lines.join('\n'), { documents });
    },
  );
  server.registerTool(
    'read_doc',
    {
      title: 'Read a support document',
      description: 'Answers with the whole text of one support document.',
      inputSchema: z.strictObject({ id: z.string().min(1).max(100).describe('As search_docs names it.') }),
      outputSchema: document,
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ id }) => {
      const found = desk.read(id);
      return found === undefined
        ? notFound(`document ${id}`)
        : answer(`${found.title}\n\n${found.body}`, { ...found });
    },
  );
}

function registerTickets(server: McpServer, desk: Desk): void {
  server.registerTool(
    'create_ticket',
    {
      title: 'Open a support ticket',
      description: 'Opens a ticket for the support team. Every call opens another one.',
      inputSchema: z.strictObject({
        title: z.string().min(1).max(200),
        body: z.string().min(1).max(10_000),
        priority: z.enum(['low', 'normal', 'high']).optional().describe('normal if not given.'),
        idempotency_key: z.string().min(1).max(200).optional().describe('Kept with the ticket.'),
      }),
      outputSchema: ticket,
      annotations: {
        readOnlyHint: false,
        destructiveHint: false,
        idempotentHint: false,
        openWorldHint: false,
      },
    },
    async ({ title, body, priority, idempotency_key: idempotencyKey }) => {
      const opened = desk.open({
        title,
        body,
        priority: priority ?? 'normal',
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      });
      return answer(`Opened ${opened.id}: ${opened.title}`, { ...opened });
    },
  );
  server.registerTool(
    'get_ticket',
    {
      title: 'Read a support ticket',
      description: 'Answers with one ticket.',
      inputSchema: z.strictObject({ id: z.string().min(1).max(100).describe('Such as TICKET-0001.') }),
      outputSchema: ticket,
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ id }) => {
      const found = desk.ticket(id);
      return found === undefined
        ? notFound(`ticket ${id}`)
        : answer(`${found.id} (${found.status}, ${found.priority}): ${found.title}`, { ...found });
    },
  );
}

const { values } = parseArgs({ options: { db: { type: 'string' } } });
// In a sandbox there is nobody to be named after, and always a --db.
const defaultFile = (): string => join(tmpdir(), `agent-runtime-desk-${userInfo().username}.db`);
// The file is this user's only, wherever it lies.
process.umask(0o077);
const desk = openDesk(values.db ?? process.env['DESK_DB'] ?? defaultFile());
serveStdio(() => {
  const server = new McpServer({ name: 'support-desk', version: '1.0.0' });
  registerDocuments(server, desk);
  registerTickets(server, desk);
  return server;
});
