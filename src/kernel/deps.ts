// Owns what the kernel is given: its ports and the workspace's configuration. Nothing ambient.
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { LastResults } from './budgets/last-results.ts';
import type { Append, ChainKey, Head, Store } from '../store/contract.ts';
import type { Approvals } from './approvals/approvals.ts';
import type { Redactor } from './evidence/redact.ts';
import type { Executor, ToolDirectory } from './execution/executor.ts';
import type { RunContext } from './identity.ts';
import type { OwnCalls } from './own-calls.ts';
import type { Gate } from './policy/gate.ts';
import type { NoPast, Past } from './policy/past.ts';

/** A connection that was lost; only a word that was asked for afterwards is for building it anew. */
export interface LostConnection {
  /** Of its capability session. */
  id: string;
  /** The approvals that were opened since. */
  askedSince: readonly string[];
}

export interface KernelDeps {
  config: RuntimeConfig;
  store: Store;
  gate: Gate;
  approvals: Approvals;
  /** What a session's own chain says of its past, read from its verified records; absent: rules that ask for it deny. */
  past?: (session: ChainKey) => Promise<Past | NoPast>;
  directory: ToolDirectory;
  /** Looks again at which grants of delegation still stand. Absent: those of the configuration do. */
  refreshGrants?: () => Promise<void>;
  executors: readonly Executor[];
  redactor: Redactor;
  clock: Clock;
  ids: Ids;
  /** The lost connection that the call would go through, where it may be built anew only with a person's word. */
  lostConnection?: (context: RunContext, server: string) => Promise<LostConnection | undefined>;
  /** This process among those that share the store; in every start receipt. */
  instance: string;
  /** Whether another instance still shows signs of life. */
  isAlive(instance: string): Promise<boolean>;
  /** Told of what a call's start and outcome have just written; only so that whoever holds the session need not read it. */
  recorded?(appends: readonly Append[], heads: readonly Head[]): void;
  /** What equal calls returned last, where that outlives the kernel. Absent: it does not. */
  results?: LastResults;
}

/** The same, with what the door itself holds: the calls of this process, and what they returned last. */
export interface DoorDeps extends KernelDeps {
  calls: OwnCalls;
  results: LastResults;
}
