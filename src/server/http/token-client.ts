// Owns everything that hangs on one token: its connection, its own handler of the modern era, and what its streams are
// told about. Two tokens share nothing here, so nothing of one can be delivered to the other.
import { createMcpHandler, InMemoryServerEventBus } from '@modelcontextprotocol/server';
import type { JSONRPCMessage, JSONRPCRequest, McpHttpHandler } from '@modelcontextprotocol/server';
import { isObject } from '../../base/json.ts';
import type { Connection, ServerParts } from '../connection.ts';
import { createConnection } from '../create-connection.ts';
import { createMcpServer } from '../mcp-server.ts';
import type { StateKeys } from '../request-state.ts';
import type { Credential } from './credentials.ts';
import type { Principal } from './principal.ts';
import { Subscribed } from './subscribed.ts';
import type { Updates } from './updates.ts';

/** One `subscriptions/listen`, with what it may not see taken out. */
export interface Listening {
  message: JSONRPCMessage;
  end(): void;
}

export interface TokenClient {
  readonly id: string;
  readonly connection: Connection;
  readonly principal: Principal;
  readonly modern: McpHttpHandler;
  /** Undefined when the principal has as many streams as it may. */
  listen(message: JSONRPCRequest): Promise<Listening | undefined>;
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

/** `resourceSubscriptions` as asked for; undefined when there is none, or none that is a list of texts. */
function askedUris(message: JSONRPCRequest): string[] | undefined {
  const filter = message.params?.notifications;
  const uris = isObject(filter) ? filter.resourceSubscriptions : undefined;
  return Array.isArray(uris) && uris.every((uri) => typeof uri === 'string') ? [...new Set(uris)] : undefined;
}

function withUris(message: JSONRPCRequest, uris: string[]): JSONRPCRequest {
  const notifications = { ...(message.params?.notifications as object), resourceSubscriptions: uris };
  return { ...message, params: { ...message.params, notifications } };
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
  const subscribed = new Subscribed({ connection, principal, updates }, (uri) => {
    modern.notify.resourceUpdated(uri);
  });
  const stopListening = announceTo(modern, shared);
  return {
    id,
    // A session's server announces changed tools itself.
    connection: shared,
    principal,
    modern,
    async listen(message) {
      const leave = principal.enter('streams');
      if (leave === undefined) return undefined;
      const uris = askedUris(message);
      const kept: string[] = [];
      for (const uri of uris ?? []) {
        // Foreign, unknown and malformed are left out alike.
        await subscribed.add(uri).then(
          () => kept.push(uri),
          () => undefined,
        );
      }
      return {
        message: uris === undefined ? message : withUris(message, kept),
        end: () => {
          leave();
          for (const uri of kept.splice(0)) subscribed.remove(uri);
        },
      };
    },
    async close() {
      stopListening();
      subscribed.close();
      await modern.close();
      await shared.gate.close();
    },
  };
}
