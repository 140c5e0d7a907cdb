// Owns the port to what moves together with an approval, in the very commit in which the approval moves: the stateful
// connection that the waiting call would go through.
import type { EpochMs } from '../../base/clock.ts';
import type { Commit } from '../../store/contract.ts';
import type { ApprovalState, ApprovalSubject } from './approval.ts';

export type OpenedSubject = Omit<ApprovalSubject, 'shownDigest'>;

export interface ApprovalCompanion {
  /** Absent: this process opens no approvals. Undefined: nothing moves with this one. */
  opening?(subject: OpenedSubject, server: string): Promise<{ id: string; commit: Commit } | undefined>;
  /** The part of the commit in which these approvals become `state`; it holds only if nobody else moved a companion. */
  moved(subjects: readonly ApprovalSubject[], state: ApprovalState, at: EpochMs): Promise<Commit>;
}

/** For approvals of calls that go through no connection. */
export const NO_COMPANION: ApprovalCompanion = { moved: () => Promise.resolve({}) };

/** Both or neither. */
export function together(one: Commit, other: Commit): Commit {
  return {
    ...one,
    appends: [...(one.appends ?? []), ...(other.appends ?? [])],
    rows: [...(one.rows ?? []), ...(other.rows ?? [])],
  };
}
