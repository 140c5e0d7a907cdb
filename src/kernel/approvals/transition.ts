// Owns how an approval changes: one pure function over the events of its chain, and the fold over them.
import type { Approval, ApprovalEvent } from './approval.ts';

export type Step = { ok: true; approval: Approval } | { ok: false; why: string };

function refuse(why: string): Step {
  return { ok: false, why };
}

function fromPending(current: Approval & { state: 'pending' }, event: ApprovalEvent): Step {
  const base = { subject: current.subject, deliveries: current.deliveries };
  switch (event.type) {
    case 'approval_approved': // A3: the only door into `approved`
      // Asked so that a time that is no number is refused.
      if (!(event.at < current.subject.answerBy)) return refuse('its time to be answered has passed');
      return {
        ok: true,
        approval: {
          ...base,
          state: 'approved',
          by: event.by,
          answeredAt: event.at,
          useBy: event.useBy,
          bindingDigest: event.bindingDigest,
          ...(event.note === undefined ? {} : { note: event.note }),
        },
      };
    case 'approval_rejected':
      return {
        ok: true,
        approval: {
          ...base,
          state: 'rejected',
          by: event.by,
          answeredAt: event.at,
          ...(event.note === undefined ? {} : { note: event.note }),
        },
      };
    case 'approval_expired':
      return { ok: true, approval: { ...base, state: 'expired', expiredAt: event.at, was: 'pending' } };
    case 'approval_revoked':
      return {
        ok: true,
        approval: { ...base, state: 'revoked', revokedAt: event.at, reason: event.reason },
      };
    case 'approval_consumed':
      return refuse('it has not been approved');
    case 'approval_requested':
    case 'approval_delivered':
      return refuse('it is already open');
  }
}

function fromApproved(current: Approval & { state: 'approved' }, event: ApprovalEvent): Step {
  const base = { subject: current.subject, deliveries: current.deliveries };
  switch (event.type) {
    case 'approval_consumed': // A2
      if (!(event.at < current.useBy)) return refuse('its time to be used has passed');
      return {
        ok: true,
        approval: {
          ...base,
          state: 'consumed',
          by: current.by,
          answeredAt: current.answeredAt,
          consumedAt: event.at,
          bindingDigest: current.bindingDigest,
          callId: event.callId,
          ...(current.note === undefined ? {} : { note: current.note }),
        },
      };
    case 'approval_expired':
      return { ok: true, approval: { ...base, state: 'expired', expiredAt: event.at, was: 'approved' } };
    case 'approval_revoked':
      return {
        ok: true,
        approval: { ...base, state: 'revoked', revokedAt: event.at, reason: event.reason },
      };
    case 'approval_approved':
    case 'approval_rejected':
    case 'approval_requested':
    case 'approval_delivered':
      return refuse('it has already been answered');
  }
}

/** What the event makes of the approval, or why it may not happen. */
export function transition(current: Approval | undefined, event: ApprovalEvent): Step {
  if (current === undefined) {
    return event.type === 'approval_requested'
      ? { ok: true, approval: { state: 'pending', subject: event.subject, deliveries: [] } }
      : refuse('there is no such approval');
  }
  // A1: a delivery is kept in every state and moves none.
  if (event.type === 'approval_delivered') {
    return { ok: true, approval: { ...current, deliveries: [...current.deliveries, event.delivery] } };
  }
  switch (current.state) {
    case 'pending':
      return fromPending(current, event);
    case 'approved':
      return fromApproved(current, event);
    case 'rejected':
    case 'expired':
    case 'revoked':
    case 'consumed':
      return refuse(`it is ${current.state}`);
  }
}

/** The state after all events; an event that may not happen is left out, so a damaged tail never adds a permission. */
export function foldApproval(events: readonly ApprovalEvent[]): Approval | undefined {
  let approval: Approval | undefined;
  for (const event of events) {
    const step = transition(approval, event);
    if (step.ok) approval = step.approval;
  }
  return approval;
}
