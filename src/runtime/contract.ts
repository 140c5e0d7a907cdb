// Owns the face of the runtime that servers, console, command line and library users see. Documents are snake case, as on
// the wire; every method takes the proven caller and answers a foreign handle exactly like an unknown one (NOT_FOUND).
import type { ErrorView } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Answerer, ApprovalState, Delivery } from '../kernel/approvals/approval.ts';
import type {
  ContentBlock,
  LogLine,
  Progress,
  Question,
  Reply,
  SideEffect,
  ToolDefinition,
} from '../kernel/execution/executor.ts';
import type { InventoryDrift } from '../kernel/catalog/drift.ts';
import type { ReadMethod } from '../kernel/catalog/reads.ts';
import type { Caller } from '../kernel/identity.ts';
import type { ManagedSessions } from '../pack/managed/contract.ts';
import type { ManagedWork } from '../pack/managed/surface.ts';
import type { Series } from '../base/series.ts';
import type {
  DecisionView,
  TurnFailure,
  TurnInput,
  TurnOutput,
  TurnSnapshot,
} from '../pack/turn/contract.ts';

/** What a request brings along: who hears of what happens meanwhile, who can be asked, and what ends it. */
export interface RuntimeIo {
  progress?(progress: Progress): void;
  log?(line: LogLine): void;
  /**
   * Puts a question of a server to the person. `later`: nobody answered in time. `returned`: it went out with the answer
   * to this request and comes back with the next. Either way the call waits, and answers `input_required`.
   */
  ask?(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later' | 'returned'>;
  /** Of a turn that asked for `stream`: what its answer is so far. */
  snapshot?(snapshot: TurnSnapshot): void;
  /** Cancels the request; it reaches the provider and the tool. */
  signal: AbortSignal;
  /** An answer may be given before it is on disk: whoever asks settles the series before anybody else hears of it. */
  series?: Series;
}

/**
 * How a governed call stands. `tool_error`: the tool ran and says that it failed. `permitted`: the host runs this tool itself.
 * `unknown`: it was cut off, and whether it took effect cannot be told; it is never repeated by itself.
 */
export type CallStatus =
  | 'done'
  | 'tool_error'
  | 'denied'
  | 'approval_required'
  | 'input_required'
  | 'permitted'
  | 'unknown'
  | 'expired'
  | 'canceled';

/** An open approval: of exactly this call, by its digest, good once. Times are ISO 8601 in UTC. */
export interface ApprovalTicket {
  approval_id: string;
  action_digest: string;
  answer_by: string;
  /** How long a given approval may be used. */
  use_by?: string;
  /** Where a person can answer: `elicitation`, or a command line to type. */
  answer_at: string[];
}

/** A question of a server that waits for its answer. Message and form are the server's own words. */
export interface InputTicket {
  input_id: string;
  server: string;
  mode: 'form' | 'url' | 'sampling' | 'roots';
  message: string;
  requested_schema?: JsonObject;
  url?: string;
  answer_by: string; // ISO time
}

/** A connection that was lost: what takes its place and what has to be asked for again. */
export interface ExpiryView {
  expired_capability_session_id: string;
  capability_session_id?: string;
  cause: string;
  resumed: string[];
  must_retry: string[];
}

/** What every governed call answers; which of `result`, `approval`, `input` and `error` is there follows from `status`. */
export interface CallAnswer {
  status: CallStatus;
  decision: DecisionView;
  /** `replayed`: the recorded outcome of an earlier call with the same id or idempotency key; nothing ran. */
  result?: { content: ContentBlock[]; structured?: JsonObject; replayed: boolean };
  approval?: ApprovalTicket;
  input?: InputTicket;
  capability_session_id?: string;
  expiry?: ExpiryView;
  /** Good once, for this call. */
  resume_token?: string;
  error?: ErrorView;
  /** Present only where the failure ends the run instead of being told to the model. */
  on_failure?: 'end_run';
  receipt_ids: string[];
  side_effect_status: SideEffect;
  tool: string;
  tool_call_id: string;
  session_id: string;
  run_id: string;
  trace_id: string;
}

/** What a person must be shown before approving; untrusted text is already escaped. */
export interface ApprovalPrompt {
  approval_id: string;
  action_digest: string;
  /** Fixed layout, complete or with its cut stated. */
  text: string;
  /** Whether this client may (still) be asked for this digest. */
  askable: boolean;
}

/** Which requested call is to run. Tool and arguments are not given: they come from the record of the turn. */
export interface CallToolInput {
  session_id: string;
  tool_call_id: string;
  /** The approval that the host believes it runs under; another one is NOT_FOUND. */
  approval_id?: string;
  /** From an earlier answer of this call that lost its connection to the server. */
  resume_token?: string;
}

/** An exposed tool as this caller may reach it, with its server's schema. */
export interface GovernedTool extends ToolDefinition {
  approval_required: boolean;
}

/** A page of a list, newest first. */
export interface ListQuery {
  filter?: { status?: string; session_id?: string; tool?: string };
  limit?: number; // 1..200, default 50
  /** `next_cursor` of the page before; any other text is INVALID_INPUT. */
  cursor?: string;
}

/** One page; without `next_cursor` it is the last. */
export interface ListPage {
  items: JsonObject[];
  next_cursor?: string;
}

/** What can be looked at by its id. */
export type InspectKind = 'request' | 'run' | 'session' | 'approval' | 'capability' | 'capability_session';

/** One thing whole: how it stands, what happened to it in order, what was decided, and the ids around it. */
export interface Inspection {
  kind: InspectKind;
  id: string;
  state: JsonObject;
  timeline: JsonObject[];
  decisions: JsonObject[];
  receipts: JsonObject[];
  links: JsonObject;
  /** The lists that hold only the newest 500 of what there is; absent: all of them are whole. */
  newest_only?: ('timeline' | 'decisions' | 'receipts')[];
}

/** One thing that was looked at. */
export interface HealthCheck {
  check: string;
  status: 'fail' | 'warn' | 'ok';
  detail: string;
  /** What to do; present unless ok. */
  action?: string;
  /** Of the check `inventory`: where inventory, catalog and pins differ. */
  inventory?: InventoryDrift;
}

/** `status` is the worst of the checks. */
export interface Health {
  status: 'fail' | 'warn' | 'ok';
  checks: HealthCheck[]; // failing first
}

/** Looking, which runs nothing. A caller sees its own; an operator those of its tenant. */
export interface Inspect {
  listRequests(caller: Caller, query: ListQuery): Promise<ListPage>;
  listSessions(caller: Caller, query: ListQuery): Promise<ListPage>;
  listApprovals(caller: Caller, query: ListQuery): Promise<ListPage>;
  listCapabilities(caller: Caller, query: ListQuery): Promise<ListPage>;
  /** Our connections to servers, the ended ones too. */
  listCapabilitySessions(caller: Caller, query: ListQuery): Promise<ListPage>;
  inspect(caller: Caller, kind: InspectKind, id: string): Promise<Inspection>;
  getHealth(caller: Caller): Promise<Health>;
}

export type ListedReads = 'resources' | 'resourceTemplates' | 'prompts';

/** Which reads the catalog exposes at all. */
export interface ReadsOffered {
  resources: boolean;
  updates: boolean;
  prompts: boolean;
  completions: boolean;
}

/** Resources and prompts of governed servers: what there is to read. Reading is `callCapability`. */
export interface GovernedReads {
  readonly offered: ReadsOffered;
  /** The servers of which this caller may reach the read, in the configuration's order. */
  servers(caller: Caller, method: ReadMethod): Promise<string[]>;
  /** As the servers list them; a server that cannot be asked has none. */
  list(
    caller: Caller,
    kind: ListedReads,
    signal: AbortSignal,
  ): Promise<{ server: string; items: JsonObject[] }[]>;
  /**
   * Tells of changes of a resource that a governed `resources/subscribe` of this caller has asked for, also after its server was
   * started anew; `onEnd` is told where that one takes no subscription.
   */
  watch(
    caller: Caller,
    what: { server: string; uri: string; signal: AbortSignal },
    notify: (uri: string) => void,
    onEnd?: () => void,
  ): Promise<() => void>;
  /** A server told this caller's connection that a list changed. */
  onListChanged(caller: Caller, listener: (kind: 'resources' | 'prompts') => void): () => void;
}

/**
 * The governed runtime. Every method takes the caller as its host has proven it. Policy is an answer (`status: 'denied'`);
 * what is thrown is a `RuntimeError`, whose codes are those of docs/errors.md.
 */
export interface Runtime extends Inspect, ManagedWork<Caller, RuntimeIo> {
  readonly config: RuntimeConfig;
  /** One governed turn: the model is asked, nothing it asks for is run. Bad input and failures are answers as well. */
  executeTurn(caller: Caller, input: TurnInput, io: RuntimeIo): Promise<TurnOutput | TurnFailure>;
  /** Runs exactly the tool that a turn requested; arguments come from the record. */
  callTool(caller: Caller, input: CallToolInput, io: RuntimeIo): Promise<CallAnswer>;
  /** Calls an exposed capability directly in the caller's default session. */
  callCapability(
    caller: Caller,
    call: { tool: string; args: unknown; idempotencyKey?: string; callId?: string },
    io: RuntimeIo,
  ): Promise<CallAnswer>;
  readonly reads: GovernedReads;
  /** The exposed tools this caller may reach, in fixed order. */
  exposedTools(caller: Caller): Promise<GovernedTool[]>;
  /** What to show for a pending approval of this caller's call; NOT_FOUND if foreign or ended. */
  approvalPrompt(caller: Caller, approvalId: string): Promise<ApprovalPrompt>;
  /** Records one delivery and moves the approval only if it is an answer that suffices. */
  deliverApproval(
    answerer: Answerer,
    approvalId: string,
    delivery: Delivery,
    actor?: string,
  ): Promise<{ state: ApprovalState; moved: boolean; why?: string }>;
  /** Sessions that outlive a request; `startGovernedAgentSession` and `resumeGovernedAgentSession` stand on it. */
  readonly managed: ManagedSessions;
  /** Makes the readable copy of a managed session anew from its journal; says where it lies. NOT_FOUND when foreign. */
  rebuildSnapshot(caller: Caller, sessionId: string): Promise<{ file: string }>;
  /** The decision that this call would get, with all its reasons; has no effect and is not recorded. */
  explainPolicy(
    caller: Caller,
    call: { tool: string; args: unknown; session_id?: string; intent?: string },
  ): Promise<JsonObject>;
  /** Takes what changed outside this process since, and then tells the listeners; cheap when nothing did. */
  refreshTools(): Promise<void>;
  /** Fires when a pin, the catalog or a freeze changes what tools are listed; returns an unsubscribe function. */
  onToolsChanged(listener: () => void): () => void;
  /** Ends the children, waits until what was under way is on record, and closes the store. */
  close(): Promise<void>;
}
