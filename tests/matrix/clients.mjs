// Owns the clients of the matrix: released SDKs over their own transports. Over stdio each starts the built server as its
// own process; over HTTP all of one place share one. What differs between them ends here.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as V1StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as V1HttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { httpAccess } from './http.mjs';
import { MAIN } from './place.mjs';

export const CLIENTS = ['v2-modern', 'v2-legacy', 'v1', 'v2-modern-http', 'v2-legacy-http', 'v1-http'];

const isHttp = (kind) => kind.endsWith('-http');
const isV1 = (kind) => kind.startsWith('v1');
export const isModern = (kind) => kind.startsWith('v2-modern');

async function openTransport(kind, place) {
  if (!isHttp(kind)) {
    const transport = new (isV1(kind) ? V1StdioClientTransport : StdioClientTransport)(parameters(place));
    return { transport, pid: () => transport.pid, leave: async () => undefined };
  }
  const { url, token, pid, revoke } = await httpAccess(place);
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  const transport = new (isV1(kind) ? V1HttpTransport : StreamableHTTPClientTransport)(new URL(url), {
    requestInit,
  });
  // A client over HTTP has no end of its own that the server could see; its token has.
  return { transport, pid: () => pid, leave: revoke };
}

function parameters(place) {
  const where = ['--workspace', place.workspace, '--config', place.config];
  return {
    command: process.execPath,
    args: [MAIN, 'serve', '--tools', 'all', ...where],
    env: place.env,
    cwd: place.workspace,
    stderr: 'pipe',
  };
}

function openV2(kind, setup) {
  const modern = isModern(kind);
  const client = new Client(setup.info, {
    capabilities: setup.elicits ? { elicitation: setup.place.elicitation ?? { form: {} } } : {},
    versionNegotiation: { mode: modern ? { pin: '2026-07-28' } : 'legacy' },
    listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: setup.onToolsChanged } },
  });
  if (setup.elicits) {
    client.setRequestHandler('elicitation/create', ({ params }) => setup.onQuestion(params));
  }
  return {
    client,
    callTool: (params, options) => client.callTool(params, options),
    era: () => client.getProtocolEra(),
  };
}

function openV1(setup) {
  const elicitation = setup.place.elicitation ?? {};
  const client = new V1Client(setup.info, { capabilities: setup.elicits ? { elicitation } : {} });
  if (setup.elicits) client.setRequestHandler(ElicitRequestSchema, ({ params }) => setup.onQuestion(params));
  client.setNotificationHandler(ToolListChangedNotificationSchema, setup.onToolsChanged);
  return {
    client,
    callTool: (params, options) => client.callTool(params, undefined, options),
    era: () => 'legacy',
  };
}

async function listAll(client) {
  const tools = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor });
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tools;
}

/** `elicits`: declares elicitation; each question goes to `react`, which a cell sets before it calls. */
export async function connect(kind, place, { elicits, name = 'matrix' }) {
  const state = { react: undefined, questions: [], changed: 0, wire: [] };
  const setup = {
    place,
    elicits,
    info: { name, version: '1.0.0' },
    onToolsChanged: () => void (state.changed += 1),
    onQuestion: async (params) => {
      state.questions.push(params);
      if (state.react === undefined) throw new Error('nobody expected a question');
      return state.react(params);
    },
  };
  const { client, callTool, era } = isV1(kind) ? openV1(setup) : openV2(kind, setup);
  const { transport, pid, leave } = await openTransport(kind, place);
  let log = '';
  transport.stderr?.on('data', (chunk) => (log = (log + chunk).slice(-4000)));
  await client.connect(transport);
  const take = transport.onmessage;
  transport.onmessage = (message, extra) => {
    state.wire.push(message);
    take(message, extra);
  };
  return {
    state,
    era,
    pid: pid(),
    log: () => log,
    list: () => listAll(client),
    call: (tool, args = {}, options = {}) => callTool({ name: tool, arguments: args }, options),
    async close() {
      await client.close();
      await leave();
    },
  };
}
