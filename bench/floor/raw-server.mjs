// A server without an SDK, of the older era, with the one tool `echo`: a thousand of them start in a minute or two.
//   node raw-server.mjs           over stdio
//   node raw-server.mjs --http    over HTTP with a session for each client; prints its port. GET answers how many are open
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const inputSchema = {
  type: 'object',
  properties: { text: { type: 'string' } },
  required: ['text'],
  additionalProperties: false,
};
const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'raw', version: '1.0.0' },
  }),
  'tools/list': () => ({ tools: [{ name: 'echo', description: 'Answers with its text.', inputSchema }] }),
  'tools/call': ({ arguments: { text } }) => ({ content: [{ type: 'text', text }] }),
  ping: () => ({}),
};

/** The text of the answer; undefined where none is due. */
function answer({ id, method, params }) {
  if (id === undefined) return undefined;
  const known = answers[method];
  const said = known === undefined ? { error: { code: -32601, message: 'no' } } : { result: known(params) };
  return JSON.stringify({ jsonrpc: '2.0', id, ...said });
}

const sessions = new Set();

function serve({ method, headers, url }, body) {
  const session = headers['mcp-session-id'];
  if (method === 'GET') return url === '/open' ? [200, String(sessions.size)] : [405];
  if (method === 'DELETE') return [sessions.delete(session) ? 200 : 404];
  const message = JSON.parse(body);
  const isFirst = message.method === 'initialize';
  const own = isFirst ? randomUUID() : session;
  if (isFirst) sessions.add(own);
  else if (!sessions.has(own)) return [404];
  const said = answer(message);
  return said === undefined
    ? [202]
    : [200, said, { 'content-type': 'application/json', 'mcp-session-id': own }];
}

if (process.argv.includes('--http')) {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const [status, said, headers] = serve(request, body);
      response.writeHead(status, headers).end(said);
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const said = answer(JSON.parse(line));
    if (said !== undefined) process.stdout.write(`${said}\n`);
  });
}
