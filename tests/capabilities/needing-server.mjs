// Owns a server with one tool that needs a name, an answer of the client's model and its roots, all at once, over stdio in
// both eras.
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const NAME = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };

const NEEDS = {
  who: () => inputRequired.elicit({ message: 'Who are you?', requestedSchema: NAME }),
  poem: () =>
    inputRequired.createMessage({
      messages: [{ role: 'user', content: { type: 'text', text: 'A poem' } }],
      maxTokens: 10,
      includeContext: 'allServers',
    }),
  where: () => inputRequired.listRoots(),
};

function build() {
  const server = new McpServer({ name: 'needing', version: '1.0.0' });
  server.registerTool(
    'need',
    {
      description: 'Says what it was given.',
      inputSchema: z.strictObject({ keys: z.array(z.enum(Object.keys(NEEDS))) }),
    },
    async ({ keys }, ctx) => {
      const given = ctx.mcpReq.inputResponses ?? {};
      if (!keys.every((key) => given[key] !== undefined)) {
        return inputRequired({ inputRequests: Object.fromEntries(keys.map((key) => [key, NEEDS[key]()])) });
      }
      const said = { ...given, who: acceptedContent(given, 'who') };
      return { content: [{ type: 'text', text: JSON.stringify(said) }] };
    },
  );
  return server;
}

serveStdio(build);
