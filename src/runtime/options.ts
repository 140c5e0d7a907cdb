// Owns what a runtime is made of: the parts a caller may choose, and the handle that commands and servers get.
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Executor, ToolDirectory } from '../kernel/execution/executor.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { ModelProfile, ModelProvider } from '../providers/contract.ts';
import type { Store } from '../store/contract.ts';
import type { Worker } from '../pack/background/worker.ts';
import type { Workflows } from '../pack/workflows/contract.ts';
import type { CallerOf } from './configured-callers.ts';
import type { Runtime } from './contract.ts';

/** One line for the operator's log; never a secret, never on standard output. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  facts?: Record<string, unknown>,
) => void;

/** Where a running process takes its configuration from again, once somebody has asked for it. */
export interface ConfigSource {
  /** As the files are now. Throws when they are no configuration, or one that nobody trusts here. */
  load(): Promise<RuntimeConfig>;
  /** The principal that this process runs for. */
  principal: string;
}

/** What `createRuntime` is given; all but the first three and the environment have a default. */
export interface RuntimeOptions {
  config: RuntimeConfig;
  /** The folder that holds `.agent-runtime/`; absolute. */
  workspace: string;
  /** The user's own state directory (keys, trust, grants), outside the workspace; absolute. */
  stateDirectory: string;
  /** Where keys of models and of servers are looked up; nothing else of the process's environment is read. */
  env: Readonly<Record<string, string | undefined>>;
  clock?: Clock;
  ids?: Ids;
  log?: Log;
  /** Default: SQLite at `.agent-runtime/runtime.db`. */
  store?: Store;
  /** Executors besides the downstream servers', e.g. functions registered by a library user. */
  executors?: readonly Executor[];
  /**
   * Default: the provider kinds of this package. One for a `scripted` profile must not leave this process: it is held to no
   * network scope, and its turn's start may be committed with its outcome.
   */
  createProvider?: (profile: ModelProfile) => ModelProvider;
  /** Who a principal is now, for work in the background; default: the principals of identity.yaml. */
  callerOf?: CallerOf;
  /** Whose work is looked after in the background; default: the tenants of identity.yaml. */
  tenants?: () => readonly string[];
  /** How long a silent process counts as alive; default 30,000 ms. */
  instanceLeaseMs?: number;
  /** Default: none, and the configuration stays for as long as the runtime is open. */
  configSource?: ConfigSource;
}

export interface PinResult {
  server: string;
  /** Lines for a person. */
  diff: string[];
  /** What is pinned now. */
  tools: string[];
  written: boolean;
  /** Of what was shown; to be handed back by whoever agrees to it. */
  digest: string;
}

/** A runtime with the parts that commands need. Close it once; children end with it. */
export interface RuntimeHandle extends Runtime {
  readonly store: Store;
  readonly kernel: Kernel;
  readonly gate: Gate;
  readonly directory: ToolDirectory;
  /** Workflows with all that operators may look at. */
  workflows(): Promise<Workflows>;
  /** Starts to carry out what is queued or due, until the runtime is closed; once started, the same one again. */
  startWorker(): Promise<Worker>;
  /**
   * Connects to a server and shows how its tools differ from the pin. With `expected`, the digest of what a person was
   * shown, it writes the pin: exactly that, or CONFLICT and nothing.
   */
  pin(server: string, expected?: string): Promise<PinResult>;
}
