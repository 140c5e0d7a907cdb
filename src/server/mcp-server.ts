// Owns the protocol face: one McpServer per era and connection, with our own handlers for every list, call and read, so
// that protocol errors stay protocol errors and the cost of a call does not grow with the number of tools.
import { CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, McpServer } from '@modelcontextprotocol/server';
import type {
  CallToolRequest,
  ClientCapabilities,
  Implementation,
  ListToolsResult,
  ServerContext,
} from '@modelcontextprotocol/server';
import { RuntimeError } from '../base/errors.ts';
import type { LogLine } from '../kernel/execution/executor.ts';
import type { Connection, Era } from './connection.ts';
import {
  errorResult,
  invalidParams,
  missingCapability,
  readFailure,
  toolFailure,
  unknownTool,
} from './errors.ts';
import { answerable, RequestAsker, returnedReplies } from './ask.ts';
import type { Answerable } from './ask.ts';
import type { Round } from './gate.ts';
import { relayProgress } from './progress.ts';
import { promptText, PROMPTS } from './prompts.ts';
import { readResource, RESOURCES, TEMPLATES } from './resources.ts';
import { listedName } from './tool-names.ts';
import { createTaskResult, TASKS_EXTENSION } from './tasks/task-view.ts';
import { serveTasks } from './tasks/tasks.ts';
import type { ToolResult } from './tools/tool.ts';

const PAGE = 100;
const IDEMPOTENCY_META_KEY = 'agent-runtime/idempotency-key';

const INSTRUCTIONS = `Every model turn and every tool call here passes one policy gate and is recorded.
A call that needs a person's approval answers approval_required with an approval id and where to answer it; repeat the same call over the same connection afterwards. No tool here answers an approval.
agent:execute-turn asks the model; agent:call-tool runs what the model asked for. agent:get-health says what is wrong.
side_effect_unknown means: look at the system concerned before repeating anything.`;

interface ClientView extends Answerable {
  name?: string;
  /** This request says that its client takes a task as an answer. */
  takesTasks: boolean;
}

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
  return {
    ...(info === undefined ? {} : { name: info.name }),
    ...answerable(capabilities ?? {}),
    takesTasks: modern && Object.hasOwn(capabilities?.extensions ?? {}, TASKS_EXTENSION),
  };
}

async function listTools(
  connection: Connection,
  clientName: string | undefined,
  cursor: string | undefined,
): Promise<ListToolsResult> {
  const { entries } = await connection.table.current();
  let from = 0;
  if (cursor !== undefined) {
    const after = Buffer.from(cursor, 'base64url').toString();
    from = entries.findIndex((entry) => entry.id === after) + 1;
    if (from === 0) throw invalidParams('Unknown cursor; list from the start again');
  }
  const page = entries.slice(from, from + PAGE);
  const last = page.at(-1);
  const mode = connection.options.toolNames;
  return {
    tools: page.map((entry) => ({ name: listedName(entry.id, mode, clientName), ...entry.definition })),
    ...(last === undefined || from + PAGE >= entries.length
      ? {}
      : { nextCursor: Buffer.from(last.id).toString('base64url') }),
  };
}

async function runTool(
  connection: Connection,
  params: CallToolRequest['params'],
  request: Omit<Round, 'beat' | 'client'> & { client: ClientView },
): Promise<ToolResult> {
  const { runtime, caller, clock, gate } = connection;
  const { ctx, client } = request;
  const { background } = runtime.config.runtime;
  const asTask = client.takesTasks && background.enabled;
  const offered = await connection.table.current();
  const entry = offered.find(params.name);
  if (entry === undefined) throw unknownTool(params.name);
  const relay = relayProgress(
    ctx.mcpReq._meta?.progressToken,
    (progress) => ctx.mcpReq.notify({ method: 'notifications/progress', params: { ...progress } }),
    clock,
  );
  const asker = new RequestAsker(
    { ...request, clock, waitMs: runtime.config.runtime.elicitationWaitMs, beat: () => relay.beat() },
    returnedReplies(ctx, request.era),
  );
  const round: Round = { ...request, beat: () => relay.beat(), asker };
  const idempotencyKey = ctx.mcpReq._meta?.[IDEMPOTENCY_META_KEY];
  try {
    const result = await entry.run(params.arguments, {
      runtime,
      caller,
      io: {
        signal: ctx.mcpReq.signal,
        progress: (progress) => relay.progress(progress),
        snapshot: (snapshot) => relay.snapshot(snapshot),
        ask: (question, withdrawn) => asker.ask(question, withdrawn),
        log: (line) => void relayLog(ctx, line),
      },
      governed: (call) => gate.governed(call, round),
      canonicalId: (name) => offered.find(name)?.id,
      ...(asTask ? { task: createTaskResult } : {}),
      ...(typeof idempotencyKey === 'string' ? { idempotencyKey } : {}),
    });
    // The younger protocol has a word for it; the record of the call is complete either way.
    if (request.era === 'modern' && asker.lacksSampling()) throw missingCapability({ sampling: {} });
    return result;
  } finally {
    await relay.end();
  }
}

/** Lines of a server, at the level that the client asked for; one that hears none is told none. */
async function relayLog(ctx: ServerContext, { level, logger, data }: LogLine): Promise<void> {
  // The client may be gone; its call learns that from its signal.
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- servers of both eras still send them
  await ctx.mcpReq.log(level as Parameters<typeof ctx.mcpReq.log>[0], data, logger).catch(() => undefined);
}

/** Runs one `tools/call` within the bound, and keeps it known until it has ended. */
async function callTool(
  connection: Connection,
  params: CallToolRequest['params'],
  request: Omit<Round, 'beat' | 'client'> & { client: ClientView },
): Promise<ToolResult> {
  const { inFlight, runtime, log } = connection;
  const most = runtime.config.runtime.maxCallsInFlight;
  if (inFlight.size >= most) {
    return errorResult(new RuntimeError('TOO_BUSY', undefined, { in_flight: inFlight.size, most }).view());
  }
  const running = runTool(connection, params, request).catch((thrown: unknown) => toolFailure(thrown, log));
  // Errors are the caller's to see; here only the end counts.
  const ended = running.then(
    () => undefined,
    () => undefined,
  );
  inFlight.add(ended);
  void ended.then(() => inFlight.delete(ended));
  return running;
}

function serveTools(server: McpServer, connection: Connection, era: Era): void {
  server.server.setRequestHandler('tools/list', ({ params }, ctx) =>
    listTools(connection, clientView(server, ctx, era).name, params?.cursor),
  );
  server.server.setRequestHandler('tools/call', ({ params }, ctx) =>
    callTool(connection, params, { era, ctx, client: clientView(server, ctx, era) }),
  );
}

function serveReads(server: McpServer, connection: Connection): void {
  const { runtime, caller, log } = connection;
  server.server.setRequestHandler('resources/list', () => ({ resources: RESOURCES }));
  server.server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: TEMPLATES }));
  server.server.setRequestHandler('resources/read', async ({ params }) => {
    try {
      return await readResource(runtime, caller, params.uri);
    } catch (thrown) {
      throw readFailure(thrown, params.uri, log);
    }
  });
  const { subscriptions } = connection;
  if (subscriptions !== undefined) {
    server.server.setRequestHandler('resources/subscribe', async ({ params }) => {
      try {
        await subscriptions.subscribe(params.uri);
      } catch (thrown) {
        throw readFailure(thrown, params.uri, log);
      }
      return {};
    });
    server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
      subscriptions.unsubscribe(params.uri);
      return {};
    });
  }
  server.server.setRequestHandler('prompts/list', () => ({ prompts: PROMPTS }));
  server.server.setRequestHandler('prompts/get', ({ params }) => promptText(params.name, params.arguments));
}

function announceTools(server: McpServer, { runtime, table, log }: Connection): void {
  server.server.onclose = runtime.onToolsChanged(() => {
    table.forget();
    server.server.sendToolListChanged().catch((error: unknown) => {
      log('debug', 'a changed tool list was not announced', { error });
    });
  });
}

/** A server for one era of one connection. Cheap: the SDK may build one for a probe and throw it away. */
export function createMcpServer(connection: Connection, era: Era): McpServer {
  const { options, states, log } = connection;
  const day = 86_400_000;
  const isModern = era === 'modern';
  const fixed = { ttlMs: day, cacheScope: 'private' } as const;
  const server = new McpServer(
    { name: 'agent-runtime', title: 'Agent Runtime', version: options.version },
    {
      instructions: INSTRUCTIONS,
      capabilities: {
        tools: { listChanged: true },
        logging: {},
        resources: connection.subscriptions === undefined ? {} : { subscribe: true },
        prompts: {},
        ...(isModern ? { extensions: { [TASKS_EXTENSION]: {} } } : {}),
      },
      // The shim would swallow how a question was not answered; the gate asks legacy clients itself.
      inputRequired: { legacyShim: false },
      requestState: { verify: (text, ctx) => states.verify(text, ctx) },
      cacheHints: {
        'tools/list': { ttlMs: 10_000, cacheScope: 'private' },
        'resources/list': fixed,
        'resources/templates/list': fixed,
        'prompts/list': fixed,
        'resources/read': { ttlMs: 0, cacheScope: 'private' },
        'server/discover': { ttlMs: 10_000, cacheScope: 'private' },
      },
    },
  );
  serveTools(server, connection, era);
  serveReads(server, connection);
  if (isModern) serveTasks(server, connection, (ctx) => clientView(server, ctx, era));
  if (connection.perRequest !== true) announceTools(server, connection);
  server.server.onerror = (error) => {
    // A state that was not ours is worth a look; the client is told nothing but that it is invalid.
    log(error.message.startsWith('requestState') ? 'warn' : 'debug', 'protocol', { error });
  };
  return server;
}
