// Owns the words by which lists are filtered: a status that nothing can have is refused, or it would look like an empty list.
import { RuntimeError } from '../base/errors.ts';
import { showCut } from '../base/text.ts';
import { STATUSES } from '../capabilities/sessions/capability-session.ts';
import type { ApprovalState } from '../kernel/approvals/approval.ts';
import type { RequestStatus } from '../kernel/evidence/receipts.ts';
import type { PinState } from '../kernel/policy/decision.ts';
import type { ManagedStatus } from '../pack/managed/contract.ts';
import type { SessionProgress } from '../pack/turn/rows.ts';
import type { WorkflowStatus } from '../pack/workflows/contract.ts';
import { REMOVED } from './effective.ts';
import type { Listed } from './lists.ts';

type Words<Status extends string> = Readonly<Record<Status, true>>;

const REQUEST: Words<RequestStatus> = {
  ...{ denied: true, waiting_approval: true, in_progress: true, done: true },
  ...{ tool_error: true, unknown: true, canceled: true, expired: true },
};
const APPROVAL: Words<ApprovalState> = {
  ...{ pending: true, approved: true, rejected: true, expired: true, revoked: true, consumed: true },
};
/** A conversation that its host drives, a managed session, and a workflow are listed together. */
const SESSION: Words<SessionProgress['status'] | ManagedStatus | WorkflowStatus> = {
  ...{ open: true, escalated: true, closed: true, canceled: true, queued: true, active: true },
  ...{
    suspended: true,
    waiting_approval: true,
    scheduled: true,
    completed: true,
    error: true,
    expired: true,
  },
};
const PIN: Words<PinState['state']> = { pinned: true, declared: true, unpinned: true, quarantined: true };

const KNOWN: Readonly<Record<Listed | 'capability', readonly string[]>> = {
  request: [...Object.keys(REQUEST), REMOVED],
  session: [...Object.keys(SESSION), REMOVED],
  approval: [...Object.keys(APPROVAL), REMOVED],
  capability_session: STATUSES,
  capability: Object.keys(PIN),
};

/** Why no item of the kind can have the status, with those that there are; undefined for one that there is. */
export function statusFault(kind: Listed | 'capability', status: string): string | undefined {
  const known = KNOWN[kind];
  if (known.includes(status)) return undefined;
  return `no ${kind.replace('_', ' ')} has the status ${showCut(status, 80)}; known: ${known.join(', ')}`;
}

/** Throws INVALID_INPUT for a status that no item of the kind can have. */
export function checkStatus(kind: Listed | 'capability', status: string | undefined): void {
  const fault = status === undefined ? undefined : statusFault(kind, status);
  if (fault === undefined) return;
  throw new RuntimeError('INVALID_INPUT', `/filter/status: ${fault}`, { field: '/filter/status' });
}
