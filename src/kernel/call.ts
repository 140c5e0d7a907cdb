// Owns the words of a governed call: what is asked of the kernel and every way it can answer. Waiting is an answer.
import type { ErrorCode } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { Budget } from '../config/types.ts';
import type { Approval } from './approvals/approval.ts';
import type { CallIo, ContentBlock, Expiry, SideEffect } from './execution/executor.ts';
import type { RunContext } from './identity.ts';
import type { Decision } from './policy/decision.ts';

/** The part of a session that decides; from the session's own record, never from the caller. */
export interface SessionBinding {
  id: string;
  /** Of a session that has followed another one by itself: the first of their line, which approvals are bound to. */
  line?: string;
  /** Epoch milliseconds of the first record; wall time budgets run from it. */
  startedAt: number;
  /** The actor that the session was minted for; digests are bound to it. */
  actor: string;
  intent?: string;
  lane: string;
  task: string;
  limits?: Budget;
  /** An equal call is a cycle only while it returns the same: nobody ends such a session, and what is polled changes. */
  countsResults?: true;
}

/** Where in its session, and in which node of a workflow, a turn asked for the call. */
export interface AskedAt {
  turnIndex: number;
  /** Calls that the session had made before. */
  callCount: number;
  node?: { workflowId: string; nodeId: string };
}

export interface CallRequest {
  context: RunContext;
  session: SessionBinding;
  /** Absent: no turn asked for it. */
  asked?: AskedAt;
  /** Canonical tool id. */
  tool: string;
  /** Untrusted; parsed once by the kernel. */
  args: unknown;
  /** Unique within the session; a second call with the same id is the same call. */
  toolCallId: string;
  /** The id was made for this request, so it need not be looked up whether it was used before. */
  isNew?: boolean;
  /** A resume token was spent for this very call: one that expired may be made once more, decided anew. */
  resumed?: boolean;
  /** Idempotency key from `_meta`, if the caller gave one. */
  idempotencyKey?: string;
}

export interface CallFacts {
  callId: string;
  decision: Decision;
  receiptIds: string[];
  sideEffect: SideEffect;
  /** It failed in a way that ends the run instead of being told to the model. */
  endsRun?: true;
  capabilitySessionId?: string;
  /** The connection was lost; only told to the caller whose call met it. */
  expiry?: Expiry;
}

export interface ToolOutcome {
  content: ContentBlock[];
  structured?: JsonObject;
  /** True when answered from an earlier identical call (idempotency record or same toolCallId). */
  replayed: boolean;
}

export type CallResult =
  | (CallFacts & { status: 'done'; outcome: ToolOutcome })
  | (CallFacts & { status: 'tool_error'; outcome: ToolOutcome; error?: { code: ErrorCode; message: string } })
  | (CallFacts & { status: 'denied' })
  | (CallFacts & {
      status: 'waiting_approval';
      approval: Approval & { state: 'pending' };
      /** False once this client was asked for this digest and gave no answer. */
      askable: boolean;
    })
  | (CallFacts & { status: 'unknown'; error: { code: ErrorCode; message: string } })
  /** It did not run, because the connection that it was to go through is gone. */
  | (CallFacts & { status: 'expired'; error: { code: ErrorCode; message: string } })
  | (CallFacts & { status: 'canceled'; error: { code: ErrorCode; message: string } });

/** The one door. Rejects only where nothing took effect: with INVALID_INPUT, NOT_FOUND, CONFLICT, or what the store says. */
export type CallTool = (request: CallRequest, io: CallIo) => Promise<CallResult>;
