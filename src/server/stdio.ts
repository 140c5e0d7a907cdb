// Owns one stdio connection from the first byte to the last: guard, era, server, and an orderly end. Standard output
// carries JSON-RPC and nothing else.
import type { Readable, Writable } from 'node:stream';
import type { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { DEFAULT_JSON_LIMITS } from '../base/json.ts';
import type { Era, ServerParts } from './connection.ts';
import { createConnection } from './create-connection.ts';
import { LineGuard } from './line-guard.ts';
import { createMcpServer } from './mcp-server.ts';
import type { StateKeys } from './request-state.ts';
import { ListeningTransport } from './stdio-listening.ts';
import { StdioPipes } from './stdio-transport.ts';
import { createTold } from './stdio-told.ts';
import { within } from './within.ts';

const DEFAULT_GRACE_MS = 2000;
// Not waited for: these end when the connection does.
const LONG_LIVED = ['tools/call', 'subscriptions/listen'];

/** What is served, and over which two pipes. */
export interface ServeStdioInput extends ServerParts {
  stdin: Readable;
  stdout: Writable;
  stateKeys: StateKeys;
}

/** A server with its one client. */
export interface StdioServer {
  /** Resolves when the client is gone, or `close` was called, and everything in flight has ended or had its grace. */
  done: Promise<void>;
  /** Takes nothing more in, and ends as if the client had gone. */
  close(): Promise<void>;
}

/**
 * Serves one client over two pipes, in the era it opens with. Rejects with CONFIGURATION_ERROR when two tools would share
 * a name; nothing has been read by then.
 */
export async function serveRuntimeStdio(input: ServeStdioInput): Promise<StdioServer> {
  const { runtime, options, clock, log } = input;
  const connection = createConnection(input, input.stateKeys);
  await connection.table.current();
  const guard = new LineGuard({
    maxBytes: runtime.config.runtime.maxLineBytes,
    maxDepth: DEFAULT_JSON_LIMITS.maxDepth,
  });
  const pipes = new StdioPipes(input, guard, ({ code, message }) => {
    log('warn', 'a line was refused', { code, message });
  });
  const told = createTold(connection);
  const serverOf = (era: Era): McpServer => {
    const server = createMcpServer(told.connection, era);
    told.tell(server); // the last one made is the one that serves
    return server;
  };
  const handle = serveStdio(({ era }) => serverOf(era), {
    transport: new ListeningTransport(pipes, told.subscribed),
    onerror: (error) => log('debug', 'connection', { error }),
  });

  async function finish(): Promise<void> {
    const grace = options.graceMs ?? DEFAULT_GRACE_MS;
    await pipes.ended;
    told.close();
    // A script that writes its requests and closes the pipe still gets its lists; calls are aborted.
    await within(clock, grace, pipes.answeredAllBut(LONG_LIVED));
    await handle.close();
    await within(clock, grace, Promise.all([...connection.inFlight]));
    await within(clock, grace, connection.gate.close());
    await within(clock, grace, pipes.flushed());
  }
  const done = finish();
  return {
    done,
    close: async () => {
      await handle.close();
      await done;
    },
  };
}
