// Owns the protocol face: one McpServer per era and connection, with our own handlers for every list, call and read, so
// that protocol errors stay protocol errors and the cost of a call does not grow with the number of tools.
import { CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, McpServer } from '@modelcontextprotocol/server';
import type {
  CallToolRequest,
  ClientCapabilities,
  Implementation,
  ListToolsResult,
  ServerCapabilities,
  ServerContext,
} from '@modelcontextprotocol/server';
import { noBackground } from '../pack/managed/allowed.ts';
import { answerable } from './ask.ts';
import type { Connection, Era } from './connection.ts';
import { toolFailure, unknownTool } from './errors.ts';
import { page } from './pages.ts';
import { serveReads } from './reads/serve-reads.ts';
import { inFlight, openRound } from './round.ts';
import type { ClientRequest, ClientView } from './round.ts';
import { listedName } from './tool-names.ts';
import { createTaskResult, TASKS_EXTENSION } from './tasks/task-view.ts';
import { serveTasks } from './tasks/tasks.ts';
import type { ToolCall, ToolResult } from './tools/tool.ts';

const IDEMPOTENCY_META_KEY = 'agent-runtime/idempotency-key';

const INSTRUCTIONS = `Every model turn and every tool call here passes one policy gate and is recorded.
A call that needs a person's approval answers approval_required with an approval id and where to answer it; repeat the same call over the same connection afterwards. No tool here answers an approval.
agent:execute-turn asks the model; agent:call-tool runs what the model asked for. agent:get-health says what is wrong.
side_effect_unknown means: look at the system concerned before repeating anything.`;

function clientView(server: McpServer, ctx: ServerContext, era: Era): ClientView {
  const envelope = ctx.mcpReq.envelope as Record<string, unknown> | undefined;
  const modern = era === 'modern';
  const info = modern
    ? (envelope?.[CLIENT_INFO_META_KEY] as Implementation | undefined)
    : // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only source on a legacy connection
      server.server.getClientVersion();
  const capabilities = modern
    ? (envelope?.[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined)
    : // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only source on a legacy connection
      server.server.getClientCapabilities();
  const takesTasks = modern && Object.hasOwn(capabilities?.extensions ?? {}, TASKS_EXTENSION);
  const view: ClientView = { takesTasks, ...answerable(capabilities ?? {}) };
  if (info !== undefined) view.name = info.name;
  return view;
}

async function listTools(
  connection: Connection,
  clientName: string | undefined,
  cursor: string | undefined,
): Promise<ListToolsResult> {
  const { entries } = await connection.table.current();
  const { items, nextCursor } = page(entries, ({ id }) => id, cursor);
  const mode = connection.options.toolNames;
  return {
    tools: items.map((entry) => ({ name: listedName(entry.id, mode, clientName), ...entry.definition })),
    ...nextCursor,
  };
}

async function runTool(
  connection: Connection,
  params: CallToolRequest['params'],
  request: ClientRequest,
): Promise<ToolResult> {
  const { runtime, caller, gate } = connection;
  const { ctx, client } = request;
  const asTask = client.takesTasks && noBackground(runtime.config) === undefined;
  const offered = await connection.table.current();
  const entry = offered.find(params.name);
  if (entry === undefined) throw unknownTool(params.name);
  const { round, io, assertLent, end } = openRound(connection, request);
  const idempotencyKey = ctx.mcpReq._meta?.[IDEMPOTENCY_META_KEY];
  try {
    const call: ToolCall = {
      runtime,
      caller,
      io,
      governed: (governed) => gate.governed(governed, round),
      canonicalId: (name) => offered.find(name)?.id,
    };
    if (asTask) call.task = createTaskResult;
    if (typeof idempotencyKey === 'string') call.idempotencyKey = idempotencyKey;
    const result = await entry.run(params.arguments, call);
    assertLent();
    return result;
  } finally {
    await end();
  }
}

/** One `tools/call` within the bound. */
async function callTool(
  connection: Connection,
  params: CallToolRequest['params'],
  request: ClientRequest,
): Promise<ToolResult> {
  try {
    return await inFlight(connection, () => runTool(connection, params, request));
  } catch (thrown) {
    return toolFailure(thrown, connection.log);
  }
}

function serveTools(server: McpServer, connection: Connection, era: Era): void {
  server.server.setRequestHandler('tools/list', ({ params }, ctx) =>
    listTools(connection, clientView(server, ctx, era).name, params?.cursor),
  );
  server.server.setRequestHandler('tools/call', ({ params }, ctx) =>
    callTool(connection, params, { era, ctx, client: clientView(server, ctx, era) }),
  );
}

/** Tells the client of every list that changed, until the connection ends. */
function announceLists(server: McpServer, { runtime, caller, reads, table, log }: Connection): void {
  const tell = (sent: Promise<void>): void => {
    sent.catch((error: unknown) => log('debug', 'a changed list was not announced', { error }));
  };
  const lists = {
    resources: () => tell(server.server.sendResourceListChanged()),
    prompts: () => tell(server.server.sendPromptListChanged()),
  };
  const { offered } = reads;
  const stopTools = runtime.onToolsChanged(() => {
    table.forget();
    tell(server.server.sendToolListChanged());
    // What may be read hangs on the same pins.
    if (offered.resources) lists.resources();
    if (offered.prompts) lists.prompts();
  });
  const stopReads = reads.isOpen
    ? runtime.reads.onListChanged(caller, (kind) => {
        if (offered[kind]) lists[kind]();
      })
    : () => undefined;
  server.server.onclose = () => {
    stopTools();
    stopReads();
  };
}

/** As a server without governed reads has them, where there are none. */
function readCapabilities({ subscriptions, reads: { offered } }: Connection): ServerCapabilities {
  const changes = (has: boolean): { listChanged?: true } => (has ? { listChanged: true } : {});
  return {
    resources: { ...(subscriptions === undefined ? {} : { subscribe: true }), ...changes(offered.resources) },
    prompts: changes(offered.prompts),
    ...(offered.completions ? { completions: {} } : {}),
  };
}

/** A server for one era of one connection. Cheap: the SDK may build one for a probe and throw it away. */
export function createMcpServer(connection: Connection, era: Era): McpServer {
  const { options, states, log } = connection;
  const day = 86_400_000;
  const isModern = era === 'modern';
  const fixed = { ttlMs: day, cacheScope: 'private' } as const;
  const changing = { ttlMs: 10_000, cacheScope: 'private' } as const;
  const { offered } = connection.reads;
  const server = new McpServer(
    { name: 'agent-runtime', title: 'Agent Runtime', version: options.version },
    {
      instructions: INSTRUCTIONS,
      capabilities: {
        tools: { listChanged: true },
        logging: {},
        ...readCapabilities(connection),
        ...(isModern ? { extensions: { [TASKS_EXTENSION]: {} } } : {}),
      },
      // The shim would swallow how a question was not answered; the gate asks legacy clients itself.
      inputRequired: { legacyShim: false },
      requestState: { verify: (text, ctx) => states.verify(text, ctx) },
      cacheHints: {
        'tools/list': changing,
        'resources/list': offered.resources ? changing : fixed,
        'resources/templates/list': offered.resources ? changing : fixed,
        'prompts/list': offered.prompts ? changing : fixed,
        'resources/read': { ttlMs: 0, cacheScope: 'private' },
        'server/discover': { ttlMs: 10_000, cacheScope: 'private' },
      },
    },
  );
  serveTools(server, connection, era);
  serveReads(server, connection, (ctx) => ({ era, ctx, client: clientView(server, ctx, era) }));
  if (isModern) serveTasks(server, connection, (ctx) => clientView(server, ctx, era));
  if (connection.perRequest !== true) announceLists(server, connection);
  server.server.onerror = (error) => {
    // A state that was not ours is worth a look; the client is told nothing but that it is invalid.
    log(error.message.startsWith('requestState') ? 'warn' : 'debug', 'protocol', { error });
  };
  return server;
}
