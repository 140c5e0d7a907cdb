// Owns the words in which work that outlives a request is started, resumed, looked at and canceled by hosts of any
// language. Snake case, as on the wire; bounded, however long the session is.
import type { EpochMs } from '../../base/clock.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { RequestedTool, TurnInput, TurnMessage, TurnOutput } from '../turn/contract.ts';
import type { JsonObject } from '../../base/json.ts';
import type { ManagedStatus } from './contract.ts';

interface Invocation {
  /** Turns that this invocation may take; at its end the work is suspended, not failed. */
  max_turns_per_invocation?: number;
  /** Answer at once and let a worker carry the work out. */
  background?: boolean;
}

export interface StartSessionInput extends Invocation {
  execute_turn_input: TurnInput;
  /** ISO 8601 with zone; after it the session does not go on. */
  expires_at?: string;
}

export interface ResumeSessionInput extends Invocation {
  session_id: string;
  continuation_messages?: TurnMessage[];
  /** Calls with unknown effect that the caller has looked into; the model is told that they are unknown. */
  accept_unknown?: string[];
  /** Of a call of this session; good once, for that call. It is made before the session goes on. */
  resume_token?: string;
}

export interface StartWorkflowInput extends Invocation {
  workflow: JsonObject;
  session_id?: string;
}

export interface ResumeWorkflowInput extends Invocation {
  session_id: string;
  continuation_messages_by_node_id?: Record<string, TurnMessage[]>;
}

export interface CancelInput {
  session_id: string;
  reason?: string;
}

/** A call that waits for a person, and where it stands. */
export interface WaitingCall {
  node_id?: string;
  pending_request_id: string;
  /** Only of the call that the answer itself names. */
  requested_tool?: RequestedTool;
}

/** How far the work came. What was said in full stands in the session's own records. */
export interface WorkAnswer {
  kind:
    | 'queued'
    | 'in_progress'
    | 'completed'
    | 'approval_required'
    | 'suspended'
    | 'scheduled'
    | 'canceled'
    | 'expired'
    | 'error';
  session_id: string;
  run_id: string;
  status: ManagedStatus;
  started_at: string; // ISO 8601
  updated_at: string;
  expires_at?: string;
  turn_count: number;
  tool_call_count: number;
  /** Runs that are taken first; while queued. */
  position?: number;
  final_turn?: TurnOutput;
  last_turn?: TurnOutput;
  pending_request_id?: string;
  requested_tool?: RequestedTool;
  waiting?: WaitingCall[];
  /** Where a person can answer what waits. */
  answer_at?: string[];
  node_id?: string;
  reason?: string;
  next_wake_at?: string;
  scheduled_node_ids?: string[];
  completed_node_ids?: string[];
  error?: LoopError;
  /** Of a call that was resumed and has not ended yet. */
  resume_token?: string;
  /** With an error: it is one branch's, and others may still move. */
  goes_on?: true;
}

/** The question of a pending approval. */
export interface OpenQuestion {
  /** The same in every process; never used for another question. */
  key: string;
  /** When it was first put to somebody; absent: never. */
  shownAt?: EpochMs;
}

/** What the runtime offers of it. A foreign handle is answered like an unknown one (NOT_FOUND). */
export interface ManagedWork<C, Io> {
  startSession(caller: C, input: StartSessionInput, io: Io): Promise<WorkAnswer>;
  resumeSession(caller: C, input: ResumeSessionInput, io: Io): Promise<WorkAnswer>;
  startWorkflow(caller: C, input: StartWorkflowInput, io: Io): Promise<WorkAnswer>;
  resumeWorkflow(caller: C, input: ResumeWorkflowInput, io: Io): Promise<WorkAnswer>;
  /** Where the work stands now; runs nothing. */
  work(caller: C, sessionId: string): Promise<WorkAnswer>;
  /** The question of a pending approval of this caller's; `show`: it is put to the client now. */
  question(caller: C, approvalId: string, how: 'show' | 'look'): Promise<OpenQuestion>;
  cancel(caller: C, input: CancelInput): Promise<{ session_id: string; status: ManagedStatus }>;
}
