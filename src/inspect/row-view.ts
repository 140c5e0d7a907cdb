// Owns how a row of each kind that is listed looks to a reader, also when all else of it was removed. Pure.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import type { JsonObject } from '../base/json.ts';
import type { StoredRow } from '../store/contract.ts';
import { approvalView } from './approval-view.ts';
import { capabilitySessionView } from './capability-session-view.ts';
import { REMOVED } from './effective.ts';
import type { Listed } from './lists.ts';
import { requestView, sessionView } from './views.ts';

/** Its id, that it was removed, and when. */
function removedView(kind: Listed, row: StoredRow): JsonObject {
  return {
    [`${kind}_id`]: row.id,
    status: row.status,
    ...(row.ref === undefined ? {} : { session_id: row.ref }),
    tenant_id: row.tenant,
    principal_id: row.principal,
    ...row.body,
    updated_at: isoTime(row.updatedAt),
  };
}

export function rowView(kind: Listed, row: StoredRow, now: EpochMs): JsonObject {
  if (row.status === REMOVED) return removedView(kind, row);
  switch (kind) {
    case 'request':
      return requestView(row);
    case 'session':
      return sessionView(row);
    case 'approval':
      return approvalView(row, now);
    case 'capability_session':
      return capabilitySessionView(row, now);
  }
}
