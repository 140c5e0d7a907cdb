// Owns the set of downstream connections of one process: one for each stdio server, and their common end.
import type { DownstreamServer } from '../config/types.ts';
import { createConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { serverIdentity } from './pin-file.ts';
import type { PathTokens } from './pin-file.ts';
import type { SessionDeps } from './session.ts';

export interface Downstreams {
  /** undefined for an unknown server, and for one that is not reached over stdio. */
  connection(server: string): Connection | undefined;
  all(): readonly Connection[];
  /** Ends every child and waits until all are gone. */
  close(): Promise<void>;
}

export interface DownstreamOptions extends SessionDeps {
  servers: Readonly<Record<string, DownstreamServer>>;
  /** Absolute directories that stand as tokens in the pin file. */
  pathTokens?: PathTokens;
}

/** Starts nothing. */
export function createDownstreams(options: DownstreamOptions): Downstreams {
  const connections = new Map<string, Connection>();
  for (const [name, server] of Object.entries(options.servers)) {
    if (server.transport !== 'stdio') continue;
    connections.set(name, createConnection(server, serverIdentity(server, options.pathTokens), options));
  }
  return {
    connection: (server) => connections.get(server),
    all: () => [...connections.values()],
    async close() {
      await Promise.all([...connections.values()].map((connection) => connection.close()));
    },
  };
}
