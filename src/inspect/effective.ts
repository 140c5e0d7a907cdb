// Owns what an approval's row means now: one whose time has passed has expired, whether or not anybody has recorded it
// yet. Looking records nothing. Pure.
import type { EpochMs } from '../base/clock.ts';
import type { ApprovalSubject } from '../kernel/approvals/approval.ts';
import type { StoredRow } from '../store/contract.ts';

export function effectiveStatus(row: StoredRow, now: EpochMs): string {
  const { subject, use_by: useBy } = row.body as unknown as { subject: ApprovalSubject; use_by?: number };
  const isOver =
    (row.status === 'pending' && now >= subject.answerBy) ||
    (row.status === 'approved' && useBy !== undefined && now >= useBy);
  return isOver ? 'expired' : row.status;
}

/** The statuses under which a row may be stored that means `status` now. */
export function storedStatuses(status: string): string[] {
  return status === 'expired' ? ['expired', 'pending', 'approved'] : [status];
}
