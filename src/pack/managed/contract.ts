// Owns the words of a managed session: an agent session that is started, pauses for people, times and budgets, survives
// the process, and goes on by the same path that ran it. Documents are snake case, as on the wire.
import type { EpochMs } from '../../base/clock.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Admission } from '../background/queue.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { HistoryEntry } from '../loop/loop.ts';
import type { RequestedTool, TurnInput, TurnMessage, TurnOutput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import type { SuspendedWhy } from './state.ts';

/** How a managed session stands; the last four are ends. */
export type ManagedStatus =
  | 'queued'
  | 'active'
  | 'suspended'
  | 'waiting_approval'
  | 'scheduled'
  | 'completed'
  | 'error'
  | 'canceled'
  | 'expired';

export type ContinuationKind =
  | 'created'
  | 'resumed'
  | 'suspended'
  | 'approval_required'
  | 'scheduled'
  | 'wakeup'
  | 'branch_completed'
  | 'join_ready'
  | 'completed'
  | 'error'
  | 'canceled'
  | 'expired';

/** One step of the log of continuations, told from the journal with its real time. */
export interface Continuation {
  sequence: number; // 1-based
  kind: ContinuationKind;
  timestamp: string; // ISO 8601
  reason?: string;
  request_id?: string;
  node_id?: string;
}

/** What a run of a managed session said so far. Counts are those of the whole session, over all its invocations. */
export interface ManagedProgress {
  session_id: string;
  run_id: string;
  status: ManagedStatus;
  messages: TurnMessage[];
  history: HistoryEntry[];
  turn_count: number;
  tool_call_count: number;
}

/** What an invocation came to: an end, or what the session waits for. */
export type ManagedResult = ManagedProgress &
  (
    | { kind: 'completed'; final_turn: TurnOutput }
    | {
        kind: 'approval_required';
        pending_request_id: string;
        requested_tool: RequestedTool;
        last_turn?: TurnOutput;
      }
    | { kind: 'suspended'; why: SuspendedWhy; reason: string; last_turn?: TurnOutput }
    | { kind: 'canceled' | 'expired'; reason: string }
    | {
        kind: 'error';
        stage: 'execute_turn' | 'call_tool' | 'session';
        error: LoopError;
        last_turn?: TurnOutput;
      }
  );

/** A node's session belongs to a workflow; it is named in the session's own first record. */
export interface ManagedParent {
  workflow_id: string;
  node_id: string;
  attempt: number;
  iteration: number;
}

export interface CreateManaged {
  executeTurnInput: TurnInput;
  /** Minted by whoever recorded it first; creating the same id again for the same caller changes nothing. */
  sessionId?: string;
  parent?: ManagedParent;
  /** queued: admitted for a worker; active (default): whoever created it runs it. */
  as?: 'queued' | 'active';
  /** Its place in the queue, taken in the commit that records it. */
  admit?: (id: string) => Promise<Admission>;
  /** The session may not go on after this time. */
  expiresAt?: EpochMs;
}

/** What is started at once has no place in a queue. */
export type StartManaged = Omit<CreateManaged, 'as' | 'admit'>;

export interface RunManaged {
  /** Turns of this invocation; default 12. */
  maxTurns?: number;
  continuationMessages?: TurnMessage[];
  /** Calls whose effect is unknown and of which the caller takes note, so that the model is told and the run goes on. */
  acceptUnknown?: string[];
  reason?: 'created' | 'resumed' | 'wakeup' | 'approval';
  /**
   * Done once all that is asked for has been judged and the session is held, before anything else of the run: what moves the
   * session by itself and may not happen when the run is refused. The run goes on with how the session stands then.
   */
  first?: () => Promise<unknown>;
  /** Who the caller is by now, asked before every step; undefined: nobody any more. Absent: who began the run. */
  callerNow?: () => Caller | undefined;
}

/**
 * Every method answers a foreign session like an absent one (NOT_FOUND). `run` throws CONFLICT with
 * `details.reason: 'run_held'` while another run holds the session, and a typed refusal when the session has ended.
 */
export interface ManagedSessions {
  create(caller: Caller, input: CreateManaged): Promise<{ session_id: string; run_id: string }>;
  /** Creates and runs it; nobody hears of it before it waits or ends. */
  start(caller: Caller, input: StartManaged, how: RunManaged, io: TurnIo): Promise<ManagedResult>;
  /** Goes on until the session waits or ends. The same path for a first run, a resume and a recovery. */
  run(caller: Caller, sessionId: string, how: RunManaged, io: TurnIo): Promise<ManagedResult>;
  /** Ends it in every state that is not an end; pending approvals of it are revoked. */
  cancel(caller: Caller, sessionId: string, reason: string): Promise<{ status: ManagedStatus }>;
  status(caller: Caller, sessionId: string): Promise<ManagedStatus>;
  continuations(caller: Caller, sessionId: string): Promise<Continuation[]>;
}
