// Owns a downstream server that asks, reports, logs and changes, over stdio or over HTTP, for the relay's tests. Over HTTP
// it serves both eras; what it is told on /control makes it forget its sessions.
//   node relay-server.mjs                       over stdio
//   node relay-server.mjs --http PORT_FILE      over HTTP on a free port of loopback, written to the file
//   --stale 400|404                             how a session id that it does not know is answered
//   --calls FILE                                where the tool echo writes its texts
//   --lingers                                   starts a child that does not end with it
//   --port PORT                                 over HTTP on that port
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import {
  createMcpHandler,
  inputRequired,
  inputResponse,
  isLegacyRequest,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const { values } = parseArgs({
  options: {
    http: { type: 'string' },
    port: { type: 'string', default: '0' },
    stale: { type: 'string', default: '404' },
    calls: { type: 'string' },
    lingers: { type: 'boolean', default: false },
  },
});

const FORM = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 20 }, age: { type: 'integer', minimum: 0 } },
  required: ['name'],
};

function text(value) {
  return { content: [{ type: 'text', text: value }] };
}

function told(view) {
  if (view.kind !== 'elicit') return text('nothing came back');
  return text(JSON.stringify({ action: view.action, ...(view.content ? { content: view.content } : {}) }));
}

/** Asks once, and says what came back. */
function asking(question) {
  return async (args, ctx) => {
    const view = inputResponse(ctx.mcpReq.inputResponses, 'q');
    if (view.kind === 'elicit') return told(view);
    if (args?.file !== undefined) appendFileSync(args.file, 'asked\n');
    return inputRequired({ inputRequests: { q: question(args) } });
  };
}

function wait(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('waited'), ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve('canceled');
    });
  });
}

/** Told to all servers of this process, so that a change made through one session is heard by the others. */
const built = new Set();
let echoText = 'Answers with its text.';

function build() {
  const server = new McpServer(
    { name: 'relay', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true }, logging: {} } },
  );
  const echo = server.registerTool(
    'echo',
    { description: echoText, inputSchema: z.strictObject({ text: z.string() }) },
    async (args) => {
      if (values.calls !== undefined) appendFileSync(values.calls, `${args.text}\n`);
      return text(args.text);
    },
  );
  server.registerTool(
    'ask',
    {
      description: 'Asks for a name.',
      inputSchema: z.strictObject({ file: z.string().optional(), note: z.string().optional() }),
    },
    asking(() => inputRequired.elicit({ message: 'Who are you?', requestedSchema: FORM })),
  );
  server.registerTool(
    'ask_url',
    { description: 'Sends the person to an address.', inputSchema: z.strictObject({}) },
    asking(() =>
      inputRequired.elicitUrl({ message: 'Look here.', url: 'https://example.test/visit?code=s3cret' }),
    ),
  );
  server.registerTool(
    'ask_twice',
    { description: 'Asks, and once answered asks again.', inputSchema: z.strictObject({}) },
    async (_args, ctx) => {
      const ask = (key) =>
        inputRequired({
          inputRequests: { [key]: inputRequired.elicit({ message: 'Who are you?', requestedSchema: FORM }) },
        });
      const [first, second] = ['q', 'again'].map((key) => inputResponse(ctx.mcpReq.inputResponses, key));
      if (second.kind === 'elicit') return told(second);
      return ask(first.kind === 'elicit' ? 'again' : 'q');
    },
  );
  server.registerTool(
    'ask_much',
    { description: 'Asks with a form that is far too large.', inputSchema: z.strictObject({}) },
    asking(() =>
      inputRequired.elicit({
        message: 'Too much?',
        requestedSchema: {
          type: 'object',
          properties: Object.fromEntries(
            Array.from({ length: 5000 }, (_, at) => [`field_${at}`, { type: 'string' }]),
          ),
        },
      }),
    ),
  );
  server.registerTool(
    'progress',
    { description: 'Reports steps.', inputSchema: z.strictObject({ steps: z.int() }) },
    async ({ steps }, ctx) => {
      const progressToken = ctx.mcpReq._meta?.progressToken;
      for (let step = 1; step <= steps && progressToken !== undefined; step++) {
        const params = { progressToken, progress: step, total: steps, message: `step ${step}` };
        await ctx.mcpReq.notify({ method: 'notifications/progress', params });
      }
      return text(`${steps} steps`);
    },
  );
  server.registerTool(
    'slow',
    { description: 'Waits.', inputSchema: z.strictObject({ ms: z.int(), file: z.string() }) },
    async ({ ms, file }, ctx) => {
      appendFileSync(file, 'began\n');
      const how = await wait(ms, ctx.mcpReq.signal);
      appendFileSync(file, `${how}\n`);
      return text(how);
    },
  );
  server.registerTool(
    'shout',
    { description: 'Logs.', inputSchema: z.strictObject({}) },
    async (_args, ctx) => {
      await ctx.mcpReq.log('warning', 'it is loud', 'relay');
      return text('shouted');
    },
  );
  server.registerTool('mutate', { description: 'Changes how echo describes itself.' }, async () => {
    echoText = 'Answers with its text. Always call it twice.';
    echo.update({ description: echoText });
    for (const other of built) other.server.sendToolListChanged().catch(() => undefined);
    modern.notify.toolsChanged();
    return text('changed');
  });
  server.registerTool('pid', { description: 'Says which process it is.' }, async () =>
    text(String(process.pid)),
  );
  server.registerTool('crash', { description: 'Ends the process in the middle of the call.' }, async () => {
    process.exit(7);
  });
  built.add(server);
  return server;
}

const sessions = new Map();
const modern = createMcpHandler(build, { legacy: 'reject' });

async function legacy(request, body) {
  const id = request.headers.get('mcp-session-id');
  const known = id === null ? undefined : sessions.get(id);
  if (known !== undefined) return known.handleRequest(request, { parsedBody: body });
  if (id !== null) {
    // Only for the 400 does the text tell what is meant.
    const message = values.stale === '400' ? 'No valid session ID' : 'Not found';
    const error = { jsonrpc: '2.0', error: { code: -32001, message }, id: null };
    return Response.json(error, { status: Number(values.stale) });
  }
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (made) => void sessions.set(made, transport),
  });
  await build().connect(transport);
  return transport.handleRequest(request, { parsedBody: body });
}

async function serve(request) {
  const { pathname } = new URL(request.url);
  if (pathname === '/control/forget') {
    const forgotten = sessions.size;
    sessions.clear();
    return Response.json({ forgotten });
  }
  if (pathname === '/control/headers') return Response.json(lastHeaders);
  lastHeaders = Object.fromEntries(request.headers);
  if (request.method !== 'POST') return legacy(request, undefined);
  const body = await request.clone().json();
  return (await isLegacyRequest(request, body))
    ? legacy(request, body)
    : modern.fetch(request, { parsedBody: body });
}

let lastHeaders = {};

async function toWeb(incoming) {
  const url = `http://${incoming.headers.host}${incoming.url}`;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value));
  if (incoming.method === 'GET' || incoming.method === 'DELETE') {
    return new Request(url, { method: incoming.method, headers });
  }
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return new Request(url, { method: incoming.method, headers, body: Buffer.concat(chunks) });
}

if (values.lingers) {
  spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)', values.calls ?? ''], { stdio: 'ignore' });
}
if (values.http === undefined) {
  serveStdio(build);
} else {
  const listener = createServer(async (incoming, outgoing) => {
    const gone = new AbortController();
    outgoing.on('close', () => gone.abort());
    try {
      const request = await toWeb(incoming);
      const response = await serve(new Request(request, { signal: gone.signal }));
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.flushHeaders();
      if (response.body === null) return outgoing.end();
      const body = Readable.fromWeb(response.body);
      body.on('error', () => outgoing.destroy());
      outgoing.on('close', () => body.destroy());
      body.pipe(outgoing);
    } catch (error) {
      outgoing.writeHead(500).end(String(error));
    }
  });
  listener.listen(Number(values.port), '127.0.0.1', () => {
    writeFileSync(`${values.http}.new`, String(listener.address().port));
    renameSync(`${values.http}.new`, values.http);
  });
  // Whoever started us holds our standard input.
  process.stdin.on('end', () => process.exit(0)).resume();
}
