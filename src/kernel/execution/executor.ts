// Owns the port through which an admitted call reaches a tool, and the words of its outcome.
import type { ErrorCode } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Capability, Transport } from '../../config/types.ts';
import type { PinState } from '../policy/decision.ts';
import type { RunContext } from '../identity.ts';

export interface Progress {
  progress: number;
  total?: number;
  message?: string;
}

/** What comes down with a call. */
export interface CallIo {
  readonly progress: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

/** An MCP content block, kept as the tool gave it. */
export type ContentBlock = JsonObject & { type: string };

export interface Execution {
  capability: Capability;
  args: JsonObject;
  context: RunContext;
  callId: string;
  idempotencyKey?: string;
  /** The pin that was decided on; an executor refuses a definition that is another by now. */
  pinDigest?: string;
  outputBytes: number;
}

export type SideEffect = 'not_executed' | 'applied' | 'side_effect_unknown' | 'partial_side_effect';

interface Ran {
  notes: string[];
  /** What the process that ran it was held to; absent: it ran in none of ours. */
  confinement?: JsonObject;
}

export type ExecutionResult =
  | (Ran & { kind: 'result'; content: ContentBlock[]; structured?: JsonObject; isError: boolean })
  | (Ran & {
      kind: 'failed';
      code: ErrorCode;
      message: string;
      /** not_executed only when it is certain that the request never left. */
      sideEffect: 'not_executed' | 'side_effect_unknown';
    });

/** Runs admitted calls of its transports. Only the kernel calls it; it must not throw. */
export interface Executor {
  readonly transports: readonly Transport[];
  execute(execution: Execution, io: CallIo): Promise<ExecutionResult>;
}

/** The definition of a tool as its server (or our configuration) declares it. */
export interface ToolDefinition {
  id: string; // canonical
  server?: string;
  name: string;
  title?: string;
  description: string;
  inputSchema: JsonObject;
  outputSchema?: JsonObject;
  annotations?: JsonObject;
  icons?: JsonObject[];
  pin: PinState;
}

/** Where the kernel learns what a tool is; answered from the pin file, so no child process is needed. */
export interface ToolDirectory {
  definition(tool: string): ToolDefinition | undefined;
  all(): readonly ToolDefinition[];
  /** Takes what changed outside this process since; asked before each decision and each list. Absent: nothing can. */
  refresh?(): Promise<void>;
}
