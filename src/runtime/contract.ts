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

export interface RuntimeIo {
  progress?(progress: Progress): void;
  log?(line: LogLine): void;
  /**
   * Puts a question of a server to the person. `later`: nobody answered in time. `returned`: it went out with the answer
   * to this request and comes back with the next. Either way the call waits, and answers `input_required`.
   */
  ask?(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later' | 'returned'>;
  snapshot?(snapshot: TurnSnapshot): void;
  signal: AbortSignal;
  /** An answer may be given before it is on disk: whoever asks settles the series before anybody else hears of it. */
  series?: Series;
}

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

export interface ApprovalTicket {
  approval_id: string;
  action_digest: string;
  answer_by: string; // ISO time
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

/** What every governed call answers. */
export interface CallAnswer {
  status: CallStatus;
  decision: DecisionView;
  result?: { content: ContentBlock[]; structured?: JsonObject; replayed: boolean };
  approval?: ApprovalTicket;
  input?: InputTicket;
  capability_session_id?: string;
  expiry?: ExpiryView;
  /** Good once, for this call. */
  resume_token?: string;
  error?: ErrorView;
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

export interface CallToolInput {
  session_id: string;
  tool_call_id: string;
  approval_id?: string;
  resume_token?: string;
}

export interface GovernedTool extends ToolDefinition {
  approval_required: boolean;
}

export interface ListQuery {
  filter?: { status?: string; session_id?: string; tool?: string };
  limit?: number; // 1..200, default 50
  cursor?: string;
}

export interface ListPage {
  items: JsonObject[];
  next_cursor?: string;
}

export type InspectKind = 'request' | 'run' | 'session' | 'approval' | 'capability' | 'capability_session';

export interface Inspection {
  kind: InspectKind;
  id: string;
  state: JsonObject;
  timeline: JsonObject[];
  decisions: JsonObject[];
  receipts: JsonObject[];
  links: JsonObject;
}

export interface HealthCheck {
  check: string;
  status: 'fail' | 'warn' | 'ok';
  detail: string;
  /** What to do; present unless ok. */
  action?: string;
  /** Of the check `inventory`: where inventory, catalog and pins differ. */
  inventory?: InventoryDrift;
}

export interface Health {
  status: 'fail' | 'warn' | 'ok';
  checks: HealthCheck[]; // failing first
}

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
  /** Tells of changes of a resource that a governed `resources/subscribe` of this caller has asked for; ends with it. */
  watch(
    caller: Caller,
    what: { server: string; uri: string; signal: AbortSignal },
    notify: (uri: string) => void,
  ): Promise<() => void>;
  /** A server told this caller's connection that a list changed. */
  onListChanged(caller: Caller, listener: (kind: 'resources' | 'prompts') => void): () => void;
}

export interface Runtime extends Inspect, ManagedWork<Caller, RuntimeIo> {
  readonly config: RuntimeConfig;
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
  explainPolicy(
    caller: Caller,
    call: { tool: string; args: unknown; session_id?: string; intent?: string },
  ): Promise<JsonObject>;
  /** Takes what changed outside this process since, and then tells the listeners; cheap when nothing did. */
  refreshTools(): Promise<void>;
  /** Fires when a pin, the catalog or a freeze changes what tools are listed; returns an unsubscribe function. */
  onToolsChanged(listener: () => void): () => void;
  close(): Promise<void>;
}
