// Owns the words of workflows: what is asked, what is answered, and the ports that the engine drives. Documents are
// snake case, as on the wire.
import type { Ending } from '../../base/abort.ts';
import type { Clock, EpochMs } from '../../base/clock.ts';
import type { Ids } from '../../base/ids.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { ChainKey, Store } from '../../store/contract.ts';
import type { Admission } from '../background/queue.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { Continuation, ManagedResult, ManagedSessions, RunManaged } from '../managed/contract.ts';
import type { SuspendedWhy } from '../managed/state.ts';
import type { RequestedTool, TurnMessage } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import type { KnownNames } from './check-nodes.ts';

/** How a node stands. `ready`: all before it have ended. `scheduled`: a time is waited for. `skipped`: its condition was false. */
export type NodeStatus =
  | 'pending'
  | 'ready'
  | 'active'
  | 'scheduled'
  | 'waiting_approval'
  | 'suspended'
  | 'completed'
  | 'skipped'
  | 'error'
  | 'canceled'
  | 'compensating'
  | 'compensated';

/** How a workflow stands; the last three are ends, an `error` only where it is `over`. */
export type WorkflowStatus =
  'active' | 'suspended' | 'waiting_approval' | 'scheduled' | 'completed' | 'error' | 'canceled';

/** What a node gives to those after it. */
export interface NodeOutput {
  status: string;
  assistant_message: string;
  /** The answer as JSON, where the node declares an output_schema. */
  structured?: JsonValue;
}

/** A node that cannot go on by itself, and what it needs. */
export type WaitingNode = { node_id: string; session_id?: string } & (
  | { needs: 'approval'; pending_request_id: string }
  | { needs: 'resume'; why?: SuspendedWhy; reason: string }
  | { needs: 'time'; wake_at: string }
);

/** Where a workflow stands when nothing of it can move by itself: an end, or what it waits for. */
export type WorkflowResult = {
  session_id: string;
  /** One for the whole life of the workflow; each node's session has runs of its own. */
  run_id: string;
  agent_id: string;
  status: WorkflowStatus;
  /** Nothing of it will run any more. An `error` before that is one branch's; the others may still move. */
  over: boolean;
  nodes: { node_id: string; status: NodeStatus }[];
  waiting_nodes: WaitingNode[];
  completed_node_ids: string[];
  /** Over the sessions of all nodes, every attempt and iteration of them. */
  turn_count: number;
  tool_call_count: number;
} & (
  | { kind: 'completed' }
  | { kind: 'scheduled'; next_wake_at: string; scheduled_node_ids: string[] }
  | { kind: 'approval_required'; node_id: string; pending_request_id: string; requested_tool: RequestedTool }
  | { kind: 'suspended'; node_id: string; reason: string }
  | { kind: 'error'; node_id: string; error: LoopError }
  | { kind: 'canceled'; reason: string }
);

export interface StartWorkflow {
  /** Untrusted; refused as INVALID_INPUT with every problem in `details.problems`. */
  workflow: unknown;
  /**
   * Absent: the definition's, or a new one. The same id with the same definition goes on with all that can move by itself;
   * what was suspended waits for `resume`. With another definition it is a CONFLICT.
   */
  sessionId?: string;
  maxTurnsPerInvocation?: number;
  /** Its place in the queue, taken in the commit that records it. */
  admit?: (id: string) => Promise<Admission>;
}

export interface ResumeWorkflow {
  continuationMessagesByNodeId?: Record<string, TurnMessage[]>;
  maxTurnsPerInvocation?: number;
  /** `wakeup`: a worker goes on with what it was given. Absent: somebody resumes it, which the configuration has to allow. */
  reason?: 'resumed' | 'wakeup';
  /** Which of the nodes that wait are tried again; `unasked`: those only that nobody has to resume. Absent: all. */
  tries?: 'all' | 'unasked';
  /** Who the caller is by now, asked before every step; undefined: nobody any more. Absent: who resumes it. */
  callerNow?: () => Caller | undefined;
}

export interface WokenBy {
  /** Who a principal of the tenant is at this moment; undefined for one that nobody knows any more. */
  callerOf: (principal: string) => Caller | undefined;
  io: TurnIo;
}

/** What a timer of a workflow carries. */
export interface WakePayload extends JsonObject {
  kind: 'workflow_wake';
  session_id: string;
  node_id: string;
  /** Absent in what an earlier version set. */
  agent_id?: string;
}

/** Why a timer moved nothing: what it asks for is over, or by now nobody knows whose it is. */
export type NotWoken = 'over' | 'unknown_principal';

/** A foreign workflow answers like an absent one (NOT_FOUND). */
export interface WorkflowLooks {
  /** Where it stands, without moving it. */
  inspect(caller: Caller, sessionId: string): Promise<WorkflowResult>;
  continuations(caller: Caller, sessionId: string): Promise<Continuation[]>;
  graph(caller: Caller, sessionId: string): Promise<{ mermaid: string; json: JsonObject }>;
}

/** A workflow that another run holds is a CONFLICT, retryable. */
export interface Workflows extends WorkflowLooks {
  /** Checks and records it; nothing of it runs yet. */
  create(caller: Caller, input: StartWorkflow): Promise<{ session_id: string }>;
  start(caller: Caller, input: StartWorkflow, io: TurnIo): Promise<WorkflowResult>;
  /** Goes on until nothing can move without a person, a time or a budget. An ended workflow is refused. */
  resume(caller: Caller, sessionId: string, how: ResumeWorkflow, io: TurnIo): Promise<WorkflowResult>;
  /** Throws what `resume` would be refused with, for as long as nobody else holds the workflow. Runs and records nothing. */
  assertResumes(caller: Caller, sessionId: string, how: ResumeWorkflow): Promise<void>;
  /** Ends it in every state that is not an end, and the sessions of its nodes with it. */
  cancel(caller: Caller, sessionId: string, reason: string): Promise<{ status: WorkflowStatus }>;
  /**
   * What a due timer asks for. Fires what is due by the clock, once, and looks how the session of the payload's node stands,
   * if that node waits.
   */
  wake(tenant: string, payload: JsonObject, by: WokenBy): Promise<WorkflowResult | NotWoken>;
  /** Records that the process which ran it has gone, where nobody holds it; false when that is not so. Ends what is to be canceled. */
  recover(caller: Caller, sessionId: string): Promise<boolean>;
}

/** The sessions of nodes. */
export interface NodeSessions extends Pick<ManagedSessions, 'create' | 'run' | 'cancel'> {
  /** Throws INVALID_INPUT for what a run of the session would refuse, and NOT_FOUND. Runs and records nothing. */
  assertTakes(caller: Caller, sessionId: string, how: RunManaged): Promise<void>;
  /** What the session's last invocation ended with, from its records; undefined while none has ended. Runs nothing. */
  result(caller: Caller, sessionId: string): Promise<ManagedResult | undefined>;
}

export interface WorkflowHold {
  readonly epoch: number;
  /** Ends when the hold is lost. */
  readonly over: Ending;
  release(): Promise<void>;
}

/** Who may carry a chain on. `beat` is asked at each renewal whether the hold is still wanted. */
export interface WorkflowHolds {
  /** Throws CONFLICT with `details.reason: 'run_held'`. */
  take(chain: ChainKey, beat: () => Promise<boolean>): Promise<WorkflowHold>;
}

export interface WorkflowDeps {
  store: Store;
  clock: Clock;
  ids: Ids;
  /** The agent that every workflow here belongs to. */
  agentId: string;
  /** What a definition may name. */
  known?: KnownNames;
  sessions: NodeSessions;
  holds: WorkflowHolds;
  /** Write-time redaction for evidence payloads. */
  redact(value: JsonObject): { value: JsonObject; fields: string[] };
}

/** Fixed when the workflow is started. */
export interface WorkflowFacts {
  id: string;
  /** Who started it. What it may do is never judged by the roles and scopes of then. */
  caller: Caller;
  runId: string;
  agentId: string;
  startedAt: EpochMs;
  definitionDigest: string;
}
