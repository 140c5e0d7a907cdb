// Owns what one client connection is given and what its requests share: the proven caller, the limits, the gate's memory.
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Runtime } from '../runtime/contract.ts';
import type { Gate } from './gate.ts';
import type { ReadTable } from './reads/read-table.ts';
import type { RequestStates } from './request-state.ts';
import type { NameMode } from './tool-names.ts';
import type { ToolTable } from './tool-table.ts';

export type Era = 'legacy' | 'modern';

/** `turn`: turns and their tools; `operate`: looking and explaining; `gateway`: the governed capabilities; `all`. */
export type ToolSet = 'turn' | 'operate' | 'gateway' | 'all';

/** Where the server reports what no client may see; never standard output. */
export type ServerLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  details?: Record<string, unknown>,
) => void;

/** How a server shows itself. */
export interface ServeOptions {
  tools: ToolSet;
  toolNames: NameMode;
  /** Told to clients as our version. */
  version: string;
  /** How long work in flight may take to end after the client has gone, milliseconds. */
  graceMs?: number;
}

/** What a client with a session of its own asked to be told about. */
export interface Subscriptions {
  /** Throws what reading the resource would. */
  subscribe(uri: string): Promise<void>;
  unsubscribe(uri: string): void;
}

/** What every part of the server is built from. */
export interface ServerParts {
  runtime: Runtime;
  caller: Caller;
  options: ServeOptions;
  clock: Clock;
  ids: Ids;
  log: ServerLog;
}

export interface Connection extends ServerParts {
  table: ToolTable;
  reads: ReadTable;
  gate: Gate;
  states: RequestStates;
  /** Absent: updates of resources are not offered. */
  subscriptions?: Subscriptions;
  /** A server for one request only: whoever made the connection tells its clients what changed. */
  perRequest?: true;
  /** Calls that have not ended yet; their number is bounded, and the end of the connection waits for them. */
  inFlight: Set<Promise<unknown>>;
}
