// Owns the words of a capability session: our stateful connection to one downstream server for one identity, its record,
// its statuses and the events that move it. It is never the same object as a run or a session.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';

export const OPEN_STATUSES = [
  'in_progress',
  'waiting_for_input',
  'waiting_for_approval',
  'resumable',
] as const;
export const ENDED_STATUSES = ['completed', 'failed', 'canceled', 'expired'] as const;

export type OpenStatus = (typeof OPEN_STATUSES)[number];
export type EndedStatus = (typeof ENDED_STATUSES)[number];
export type CapabilityStatus = OpenStatus | 'reinitialize_required' | EndedStatus;

export const STATUSES: readonly CapabilityStatus[] = [
  ...OPEN_STATUSES,
  'reinitialize_required',
  ...ENDED_STATUSES,
];

/** Why a connection is no longer there. */
export type LossCause =
  | 'http_404'
  | 'http_400_stale'
  | 'child_ended'
  | 'connection_lost'
  | 'idle_limit'
  | 'max_wait'
  | 'host_gone'
  | 'resume_policy';

/** The run that the session serves; the latest one. */
export interface ServedRun {
  runId: string;
  traceId: string;
}

/** Fixed when the session is opened. */
export interface CapabilitySubject {
  id: string;
  tenant: string;
  principal: string;
  server: string;
  transport: 'stdio' | 'http';
  /** Who answers for it, as configured. */
  owner: string;
  /** Server, identity and policy in one digest: nobody else's call may use this connection. */
  poolKey: string;
  policyDigest: string;
  /** The process that holds the connection. */
  instance: string;
  openedAt: EpochMs;
  /** The session that this one continues. */
  reinitializedFrom?: string;
  /** What the child is confined by; absent where nothing confines it. */
  sandbox?: JsonObject;
}

/** A question of the server that has no answer yet. */
export interface OpenInput {
  inputId: string;
  callId: string;
  runId: string;
  mode: 'form' | 'url' | 'sampling' | 'roots';
  askedAt: EpochMs;
  openUntil: EpochMs;
}

/** Only the digest of a resume token is kept; the token itself is told once. */
export interface TokenMark {
  digest: string;
  runId: string;
  callId: string;
  until: EpochMs;
}

export type DecidedMark = 'approved' | 'rejected' | 'expired' | 'revoked';
/** `pending` as long as one approval is open, else how the last one was decided. */
export type ApprovalMark = 'none' | 'pending' | DecidedMark;

interface Common {
  subject: CapabilitySubject;
  run: ServedRun;
  /** When it ends if nothing more comes. Moves with what is recorded of it; a call alone, which is not, keeps it longer. */
  expiresAt: EpochMs;
  inputs: OpenInput[];
  /** Approvals that calls through this session wait for. */
  approvals: string[];
  approvalState: ApprovalMark;
  /** Approved last and, as far as this record knows, still to be used. */
  granted?: string;
  token?: TokenMark;
  /** It was opened for an approval; there is no connection yet, and whichever process makes one takes it over. */
  planned?: true;
}

export type CapabilitySession =
  | (Common & { status: OpenStatus })
  | (Common & {
      status: 'reinitialize_required';
      cause: LossCause;
      lostAt: EpochMs;
      lostInputs: string[];
      /** Approvals that were opened since. Rows of older versions lack it. */
      askedSince?: string[];
    })
  | (Common & {
      status: EndedStatus;
      endedAt: EpochMs;
      reason: string;
      cause?: LossCause;
      /** The session that continues this one. */
      reinitializedAs?: string;
    });

export type CapabilityEvent =
  | {
      type: 'capability_session_opened';
      subject: CapabilitySubject;
      run: ServedRun;
      expiresAt: EpochMs;
      planned?: true;
      at: EpochMs;
    }
  | {
      type: 'capability_session_connected';
      instance: string;
      run: ServedRun;
      expiresAt: EpochMs;
      at: EpochMs;
    }
  | { type: 'capability_input_requested'; input: OpenInput; run: ServedRun; at: EpochMs }
  | { type: 'capability_input_closed'; inputId: string; how: InputEnd; expiresAt: EpochMs; at: EpochMs }
  | {
      type: 'capability_approval_awaited';
      approvalId: string;
      run: ServedRun;
      expiresAt: EpochMs;
      at: EpochMs;
    }
  | {
      type: 'capability_approval_decided';
      approvalId: string;
      decided: DecidedMark;
      at: EpochMs;
    }
  | { type: 'capability_resume_offered'; token: TokenMark; at: EpochMs }
  | { type: 'capability_session_resumed'; digest: string; at: EpochMs }
  | { type: 'capability_session_lost'; cause: LossCause; then: 'reinitialize' | 'cancel'; at: EpochMs }
  | { type: 'capability_session_reinitialized'; successor: string; at: EpochMs }
  | { type: 'capability_session_completed'; reason: string; at: EpochMs }
  | { type: 'capability_session_failed'; reason: string; at: EpochMs }
  | { type: 'capability_session_canceled'; reason: string; at: EpochMs }
  | { type: 'capability_session_expired'; cause: LossCause; at: EpochMs };

export type InputEnd =
  'accepted' | 'declined' | 'canceled' | 'not_shown' | 'timed_out' | 'invalid_answer' | 'withdrawn';
