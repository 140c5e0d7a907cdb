// Owns what an admitted call carries from its decision to its outcome, and what both of its commits have in common.
import type { Series } from '../base/series.ts';
import type { Commit, CommitResult } from '../store/contract.ts';
import type { Held } from './approvals/approvals.ts';
import type { KernelDeps } from './deps.ts';
import type { Executor } from './execution/executor.ts';
import type { Decision } from './policy/decision.ts';
import type { PreparedCall } from './prepare.ts';
import type { FreeKey } from './reservation.ts';

/** What the next commit of a call builds on: its row as it was read, and what its series was told. */
export interface Basis {
  rowVersion: number | undefined;
  after: Series | undefined;
}

export interface Admitted extends Basis {
  call: PreparedCall;
  decision: Decision;
  executor: Executor;
  held: Held | undefined;
  /** The lost capability session that the word in `held` is for too. */
  lost: string | undefined;
  reserved: FreeKey;
}

/** What its start receipt says of it. */
export interface Started {
  at: number;
  monotonic: number;
  receiptId: string;
  seq: number;
}

/** Commits, and tells whoever holds the session. */
export async function write(deps: KernelDeps, commit: Commit): Promise<CommitResult> {
  const done = await deps.store.commit(commit);
  if (done.ok) deps.recorded?.(commit.appends ?? [], done.heads);
  return done;
}

/** Whose reservation of its key it is. */
export function reservedBy(
  deps: KernelDeps,
  call: PreparedCall,
  now: number,
  seq: number,
): { now: number; session: string; seq: number; callId: string; instance: string } {
  const { request } = call;
  return { now, session: request.session.id, seq, callId: request.toolCallId, instance: deps.instance };
}
