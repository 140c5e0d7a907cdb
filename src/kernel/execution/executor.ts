// Owns the port through which an admitted call reaches a tool, and the words of its outcome.
import type { Deadline, Ending } from '../../base/abort.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Capability, Transport } from '../../config/types.ts';
import type { PinState } from '../policy/decision.ts';
import type { RunContext } from '../identity.ts';
import type { Series } from '../../base/series.ts';

export interface Progress {
  progress: number;
  total?: number;
  message?: string;
}

/**
 * What a server asks for in the middle of a call, of the person behind it or of the client: its model, its roots.
 * Untrusted, but within our bounds.
 */
export type Question = {
  id: string;
  /** The server's own name for it, where it has one. */
  key?: string;
  capabilitySessionId: string;
  server: string;
  message: string;
  openUntil: EpochMs;
} & (
  | { mode: 'form'; schema: JsonObject }
  | { mode: 'url'; url: string; elicitationId: string }
  | { mode: 'sampling'; params: JsonObject }
  | { mode: 'roots' }
);

export type Reply =
  /** Of a form its fields; of the client's model or roots its result. */
  | { action: 'accept'; content?: JsonObject }
  | { action: 'decline' }
  /** not_shown: nobody was asked. */
  | { action: 'cancel'; why?: 'not_shown' };

/** A log line of a server, as it came. */
export interface LogLine {
  level: string;
  logger?: string;
  data: JsonValue;
}

/** What comes down with a call. */
export interface CallIo {
  readonly progress: (progress: Progress) => void;
  /** Absent: nobody can be asked. While it is open the call's clock stands still. */
  readonly ask?: (question: Question, withdrawn: AbortSignal) => Promise<Reply>;
  readonly log?: (line: LogLine) => void;
  readonly signal: AbortSignal;
  /** What `signal` ends with: whoever follows it needs no signal, which is dear. */
  readonly ending?: Ending;
  /** The same, where it is the call's own time too: nobody needs another clock beside it. */
  readonly deadline?: Deadline;
  /** The answer may be given before it is on disk: whoever asks settles the series before anybody else hears of it. */
  readonly series?: Series;
}

/** An MCP content block, kept as the tool gave it. */
export type ContentBlock = JsonObject & { type: string };

/** One admitted call. */
export interface Execution {
  capability: Capability;
  args: JsonObject;
  context: RunContext;
  callId: string;
  idempotencyKey?: string;
  /** The pin that was decided on; an executor refuses a definition that is another by now. */
  pinDigest?: string;
  /** The most that a result may have. */
  outputBytes: number;
  /** A person has agreed to it; and, where it is named, that this lost capability session is built anew for it. */
  approved?: { reinitializes?: string };
  /** It goes on after it had to wait for a person, or with a resume token. */
  resumes?: boolean;
}

export type SideEffect = 'not_executed' | 'applied' | 'side_effect_unknown' | 'partial_side_effect';

/** A connection that was lost: which one, which one takes its place, and what has to be asked for again. */
export interface Expiry {
  expiredId: string;
  /** Absent: none was built. */
  nextId?: string;
  cause: string;
  resumed: string[];
  retry: string[];
  /** Told once; good for this call only. */
  resumeToken?: string;
}

interface Ran {
  notes: string[];
  /** What the process that ran it was held to; absent: it ran in none of ours, and the receipt says so. */
  confinement?: JsonObject;
  /** The connection that the call went through, where there is a stateful one. */
  capabilitySessionId?: string;
}

/** What running came to. A tool that says it failed is a `result` with `isError`. */
export type ExecutionResult =
  | (Ran & { kind: 'result'; content: ContentBlock[]; structured?: JsonObject; isError: boolean })
  | (Ran & {
      kind: 'failed';
      expiry?: Expiry;
      code: ErrorCode;
      message: string;
      /** not_executed only when it is certain that the request never left. */
      sideEffect: 'not_executed' | 'side_effect_unknown';
      /** Of what was thrown instead of an answer. */
      exceptionClass?: string;
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
  _meta?: JsonObject;
  pin: PinState;
}

/** Where the kernel learns what a tool is; answered from the pin file, so no child process is needed. */
export interface ToolDirectory {
  definition(tool: string): ToolDefinition | undefined;
  all(): readonly ToolDefinition[];
  /** Takes what changed outside this process since; asked before each decision and each list. Absent: nothing can. */
  refresh?(): Promise<void>;
}
