// Owns a server that remembers: one tool that keeps a word and answers with the last that were kept in this process. Over
// a connection that two principals shared, one would read the other's.
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const SHOWN = 8;
const kept = [];

function build() {
  const server = new McpServer({ name: 'shelf', version: '1.0.0' });
  server.registerTool(
    'keep',
    { description: 'Keeps a word.', inputSchema: z.strictObject({ word: z.string() }) },
    ({ word }) => {
      kept.push(word);
      return { content: [{ type: 'text', text: `kept ${kept.slice(-SHOWN).join(' ')}` }] };
    },
  );
  return server;
}

serveStdio(build);
