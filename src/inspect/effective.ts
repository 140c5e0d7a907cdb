// Owns what the row of an approval, or of a call that waits for one, means now: time may have passed, or a person may have
// answered, without anybody having recorded what follows. Looking records nothing.
import type { EpochMs } from '../base/clock.ts';
import type { ApprovalSubject } from '../kernel/approvals/approval.ts';
import type { RowKind, Store, StoredRow } from '../store/contract.ts';

/** The status of what was removed from the journal: the row is all that is left of it. */
export const REMOVED = 'removed';
const WAITING = 'waiting_approval';

export function effectiveStatus(row: StoredRow, now: EpochMs): string {
  const { subject, use_by: useBy } = row.body as unknown as { subject: ApprovalSubject; use_by?: number };
  const isOver =
    (row.status === 'pending' && now >= subject.answerBy) ||
    (row.status === 'approved' && useBy !== undefined && now >= useBy);
  return isOver ? 'expired' : row.status;
}

/** What a call has come to that waited for an approval of this status; by the names under which calls end. */
const CAME_TO: ReadonlyMap<string, string> = new Map([
  ['expired', 'expired'],
  ['rejected', 'denied'],
  ['revoked', 'canceled'],
]);

async function waitingStatus(store: Pick<Store, 'row'>, row: StoredRow, now: EpochMs): Promise<string> {
  const { approval_id: id } = row.body;
  const approval = typeof id === 'string' ? await store.row('approval', row.tenant, id) : undefined;
  return approval === undefined ? WAITING : (CAME_TO.get(effectiveStatus(approval, now)) ?? WAITING);
}

/** The row with the status that it has at `now`. */
export async function rowAt(store: Pick<Store, 'row'>, row: StoredRow, now: EpochMs): Promise<StoredRow> {
  if (row.kind === 'approval') return { ...row, status: effectiveStatus(row, now) };
  if (row.kind !== 'request' || row.status !== WAITING) return row;
  return { ...row, status: await waitingStatus(store, row, now) };
}

const STORED_AS: Partial<Record<RowKind, ReadonlyMap<string, readonly string[]>>> = {
  approval: new Map([
    ['pending', ['pending']],
    ['approved', ['approved']],
    ['expired', ['expired', 'pending', 'approved']],
  ]),
  request: new Map<string, readonly string[]>([
    [WAITING, [WAITING]],
    ...[...CAME_TO.values()].map((status) => [status, [status, WAITING]] as const),
  ]),
};

/** The statuses under which a row may be stored that means `status` now; undefined: it means just what it says. */
export function storedStatuses(kind: RowKind, status: string): readonly string[] | undefined {
  return STORED_AS[kind]?.get(status);
}
