// Owns everything that hangs on one token: its connection, its own handler of the modern era, and what its streams are
// told about. Two tokens share nothing here, so nothing of one can be delivered to the other.
import { createMcpHandler, InMemoryServerEventBus } from '@modelcontextprotocol/server';
import type { JSONRPCRequest, McpHttpHandler } from '@modelcontextprotocol/server';
import type { Connection, ServerParts } from '../connection.ts';
import { createConnection } from '../create-connection.ts';
import { narrowed } from '../listening.ts';
import type { Listening } from '../listening.ts';
import { createMcpServer } from '../mcp-server.ts';
import type { StateKeys } from '../request-state.ts';
import type { Credential } from './credentials.ts';
import type { Principal } from './principal.ts';
import { Subscribed } from '../subscribed.ts';
import type { Updates } from '../updates.ts';

export interface TokenClient {
  readonly id: string;
  readonly connection: Connection;
  readonly principal: Principal;
  readonly modern: McpHttpHandler;
  /** Undefined when the principal has as many streams as it may. */
  listen(message: JSONRPCRequest, isOver: () => boolean): Promise<Listening | undefined>;
  /** Ends what is in flight and every stream of the modern era, and records questions without an answer. */
  close(): Promise<void>;
}

export interface TokenClientParts {
  parts: Omit<ServerParts, 'caller'>;
  stateKeys: StateKeys;
  principal: Principal;
  updates: Updates;
  maxStreams: number;
}

/** Lists that change are told to every stream of the modern era. */
function announceTo({ notify }: McpHttpHandler, { runtime, caller, table, reads }: Connection): () => void {
  const { offered } = reads;
  const lists = { resources: () => notify.resourcesChanged(), prompts: () => notify.promptsChanged() };
  const stopTools = runtime.onToolsChanged(() => {
    table.forget();
    notify.toolsChanged();
    if (offered.resources) lists.resources();
    if (offered.prompts) lists.prompts();
  });
  const stopReads = runtime.reads.onListChanged(caller, (kind) => {
    if (offered[kind]) lists[kind]();
  });
  return () => {
    stopTools();
    stopReads();
  };
}

export function createTokenClient(credential: Credential, of: TokenClientParts): TokenClient {
  const { principal, updates, parts } = of;
  const { log } = parts;
  const { id, caller } = credential;
  const shared = createConnection({ ...parts, caller }, of.stateKeys, principal.inFlight);
  // Never called: a modern client listens instead. Its presence says that there are updates.
  const offered = { subscribe: () => Promise.resolve(), unsubscribe: () => undefined };
  const connection: Connection = { ...shared, perRequest: true, subscriptions: offered };
  const bus = new InMemoryServerEventBus((error) => log('debug', 'bus', { error }));
  const modern = createMcpHandler(() => createMcpServer(connection, 'modern'), {
    legacy: 'reject',
    bus,
    maxSubscriptions: of.maxStreams,
    onerror: (error) => log('debug', 'request', { error }),
  });
  const subscribed = new Subscribed({ connection, places: principal, updates }, (uri) => {
    modern.notify.resourceUpdated(uri);
  });
  const stopListening = announceTo(modern, shared);
  let isClosed = false;
  return {
    id,
    // A session's server announces changed tools itself.
    connection: shared,
    principal,
    modern,
    async listen(message, isOver) {
      const leave = principal.enter('streams');
      if (leave === undefined) return undefined;
      const listening = await narrowed(message, subscribed, () => isClosed || isOver());
      return {
        message: listening.message,
        end: () => {
          leave();
          listening.end();
        },
      };
    },
    async close() {
      isClosed = true;
      stopListening();
      subscribed.close();
      await modern.close();
      await shared.gate.close();
    },
  };
}
