// Owns approvals over the store: open, find, deliver, expire. Spending one is a part of the start commit, made here and
// committed by the kernel, so that the permission is gone before the effect. Whatever moves with an approval moves in its
// own commit, or both stay as they were.
import { sha256 } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Append, ChainKey, Commit, Row, Store } from '../../store/contract.ts';
import type {
  Answerer,
  Approval,
  ApprovalEvent,
  ApprovalState,
  ApprovalSubject,
  Delivery,
} from './approval.ts';
import { asShown, suffices } from './approver.ts';
import type { Sufficiency } from './approver.ts';
import { NO_COMPANION, together } from './companion.ts';
import type { ApprovalCompanion, OpenedSubject } from './companion.ts';
import { bindingDigest } from './digests.ts';
import { approvalText } from './prompt.ts';
import { foldApproval, transition } from './transition.ts';

export interface Held {
  approval: Approval;
  /** Records on its chain when read: what the next transition is compared against. */
  seq: number;
}

export interface DeliveryOutcome {
  approval: Approval;
  moved: boolean;
  why?: string;
}

export interface Approvals {
  /** The approval that decides this digest now: pending, approved, or a rejection that still stands. */
  standing(tenant: string, actionDigest: string, now: EpochMs): Promise<Held | undefined>;
  get(tenant: string, approvalId: string, now: EpochMs): Promise<Held | undefined>;
  /** Records every approval whose time has passed as expired, so that rows say what reading one would. */
  settle(tenant: string, now: EpochMs): Promise<void>;
  /** The commit that opens an approval of a call on a server, if it is on one; the caller adds its own appends. */
  opening(subject: OpenedSubject, args: JsonObject, server?: string): Promise<Commit>;
  /** The part of a start commit that spends the approval (A2). Throws APPROVAL_NOT_PENDING if it cannot be spent. */
  spending(held: Held, callId: string, now: EpochMs): Commit;
  /** The part of a commit that takes these approvals back; undefined when there is nothing left to take back. */
  revoking(
    tenant: string,
    approvalIds: readonly string[],
    attempt: { reason: string; at: EpochMs },
  ): Promise<Commit | undefined>;
  deliver(
    answerer: Answerer,
    approvalId: string,
    attempt: { delivery: Delivery; actor?: string; at: EpochMs },
  ): Promise<DeliveryOutcome>;
  /** The exact text that was or will be shown. */
  shown(tenant: string, approvalId: string): Promise<string | undefined>;
}

interface Kept {
  store: Store;
  companion: ApprovalCompanion;
}

// Each round somebody else moved the approval first; a store that refuses for ever must not hold the answer for ever.
const MAX_ROUNDS = 8;

function chainOf(tenant: string, approvalId: string): ChainKey {
  return { tenant, aggregate: 'approval', id: approvalId };
}

function toRow(approval: Approval, at: EpochMs): Row {
  const { subject } = approval;
  return {
    kind: 'approval',
    tenant: subject.tenant,
    id: subject.approvalId,
    principal: subject.principal,
    status: approval.state,
    ref: subject.actionDigest,
    updatedAt: at,
    body: {
      subject: { ...subject, delegation: { ...subject.delegation } },
      deliveries: approval.deliveries.map((made) => ({
        channel: made.channel,
        kind: made.delivery.kind,
        at: made.at,
        ...(made.delivery.kind === 'not_shown' ? { why: made.delivery.why } : {}),
        ...(made.insufficient === undefined ? {} : { why: made.insufficient }),
      })),
      ...('by' in approval ? { by: { ...approval.by, roles: [...approval.by.roles] } } : {}),
      ...('note' in approval ? { note: approval.note } : {}),
      ...('useBy' in approval ? { use_by: approval.useBy } : {}),
    },
  };
}

function append(
  subject: { tenant: string; approvalId: string },
  seq: number,
  event: ApprovalEvent,
  at: EpochMs,
): Append {
  return {
    chain: chainOf(subject.tenant, subject.approvalId),
    when: { seq },
    type: event.type,
    at,
    evidence: JSON.parse(JSON.stringify(event)) as JsonObject,
  };
}

function stillStands(held: Held, now: EpochMs): boolean {
  const { approval } = held;
  switch (approval.state) {
    case 'pending':
      return now < approval.subject.answerBy;
    case 'approved':
      return now < approval.useBy;
    case 'rejected': // A no holds as long as the question would have: the same thing is not asked again and again.
      return now < approval.subject.answerBy;
    case 'expired':
    case 'revoked':
    case 'consumed':
      return false;
  }
}

/** Rows are only an index: what an approval is for is recomputed from its own chain. */
function isFor(held: Held, digest: string): boolean {
  const { approval } = held;
  if (approval.subject.actionDigest !== digest) return false;
  if (approval.state !== 'approved') return true;
  return approval.bindingDigest === bindingDigest(digest, approval.subject.approvalId, approval.useBy);
}

async function read(store: Store, tenant: string, approvalId: string): Promise<Held | undefined> {
  const records = await store.read(chainOf(tenant, approvalId));
  const events: ApprovalEvent[] = [];
  for (const record of records) {
    // An unreadable payload can hide an event; a permission that cannot be read in full is none.
    if (record.evidence.state !== 'present') return undefined;
    events.push(record.evidence.value as unknown as ApprovalEvent);
  }
  const approval = foldApproval(events);
  return approval === undefined ? undefined : { approval, seq: records.length };
}

/** Reads an approval; one whose time has passed is expired to every reader, and is recorded so, once and by whoever
 * comes first, so expiry needs no timer to hold. */
async function readAt(
  { store, companion }: Kept,
  tenant: string,
  approvalId: string,
  now: EpochMs,
): Promise<Held | undefined> {
  const held = await read(store, tenant, approvalId);
  const late = held === undefined ? undefined : expiry(held, now);
  if (late === undefined) return held;
  // What cannot be recorded now is by the next who comes; a full disk must not stop anybody from looking.
  const done = await companion
    .moved([late.held.approval.subject], 'expired', now)
    .then((beside) => store.commit(together(late.commit, beside)))
    .catch(() => undefined);
  if (done?.ok !== false) return late.held;
  // Somebody else came first, with the same or with an answer in time.
  const newer = await read(store, tenant, approvalId);
  return newer === undefined ? undefined : (expiry(newer, now)?.held ?? newer);
}

/** What an open approval becomes when its time has passed; undefined when there is nothing to settle. */
function expiry(held: Held, now: EpochMs): { held: Held; commit: Commit } | undefined {
  const { approval, seq } = held;
  const isOpen = approval.state === 'pending' || approval.state === 'approved';
  if (!isOpen || stillStands(held, now)) return undefined;
  const event: ApprovalEvent = { type: 'approval_expired', at: now };
  const step = transition(approval, event);
  if (!step.ok) return undefined;
  return {
    held: { approval: step.approval, seq: seq + 1 },
    commit: {
      appends: [append(approval.subject, seq, event, now)],
      rows: [{ row: toRow(step.approval, now) }],
    },
  };
}

/** Whether the row of an open approval says that its time has passed; its chain decides. */
function looksOverdue(row: Row, now: EpochMs): boolean {
  const body = row.body as unknown as { subject: ApprovalSubject; use_by?: EpochMs };
  return !(now < (row.status === 'approved' ? (body.use_by ?? 0) : body.subject.answerBy));
}

async function settle(kept: Kept, tenant: string, now: EpochMs): Promise<void> {
  const { store } = kept;
  for (const status of ['pending', 'approved'] satisfies ApprovalState[]) {
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? {} : { cursor };
      const page = await store.list({ kind: 'approval', tenant, status, limit: 200, ...from });
      for (const row of page.items) if (looksOverdue(row, now)) await readAt(kept, tenant, row.id, now);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
}

function opening(partial: OpenedSubject, args: JsonObject): Commit {
  const text = approvalText(partial, args);
  const subject: ApprovalSubject = { ...partial, shownDigest: `sha256:${sha256(text)}` };
  const event: ApprovalEvent = { type: 'approval_requested', subject };
  return {
    appends: [{ ...append(subject, 0, event, subject.requestedAt), sealed: { args, shown: text } }],
    rows: [
      { row: toRow({ state: 'pending', subject, deliveries: [] }, subject.requestedAt), when: 'absent' },
    ],
  };
}

function spending(held: Held, callId: string, now: EpochMs): Commit {
  const event: ApprovalEvent = { type: 'approval_consumed', at: now, callId };
  const step = transition(held.approval, event);
  if (!step.ok) throw new RuntimeError('APPROVAL_NOT_PENDING', `The approval cannot be used: ${step.why}.`);
  return {
    appends: [append(held.approval.subject, held.seq, event, now)],
    rows: [{ row: toRow(step.approval, now) }],
  };
}

/** What goes with the approval is in its subject, so that later moves find it. */
async function openingWith(
  { companion }: Kept,
  subject: OpenedSubject,
  { args, server }: { args: JsonObject; server: string | undefined },
): Promise<Commit> {
  const beside = server === undefined ? undefined : await companion.opening?.(subject, server);
  if (beside === undefined) return opening(subject, args);
  return together(opening({ ...subject, capabilitySessionId: beside.id }, args), beside.commit);
}

async function revokingAll(
  kept: Kept,
  tenant: string,
  approvalIds: readonly string[],
  { reason, at }: { reason: string; at: EpochMs },
): Promise<Commit | undefined> {
  const event: ApprovalEvent = { type: 'approval_revoked', at, reason };
  const subjects: ApprovalSubject[] = [];
  let commit: Commit = {};
  // Equal calls wait for one answer.
  for (const id of new Set(approvalIds)) {
    const held = await readAt(kept, tenant, id, at);
    const step = transition(held?.approval, event);
    if (held === undefined || !step.ok) continue;
    const { subject } = held.approval;
    subjects.push(subject);
    commit = together(commit, {
      appends: [append(subject, held.seq, event, at)],
      rows: [{ row: toRow(step.approval, at) }],
    });
  }
  if (subjects.length === 0) return undefined;
  return together(commit, await kept.companion.moved(subjects, 'revoked', at));
}

/** Approvals over one store. Holds no state of its own. */
export function createApprovals(store: Store, companion: ApprovalCompanion = NO_COMPANION): Approvals {
  const kept: Kept = { store, companion };
  return {
    opening: (subject, args, server) => openingWith(kept, subject, { args, server }),
    spending,
    get: (tenant, approvalId, now) => readAt(kept, tenant, approvalId, now),
    settle: (tenant, now) => settle(kept, tenant, now),
    async standing(tenant, digest, now) {
      const page = await store.list({ kind: 'approval', tenant, ref: digest, limit: 5 });
      for (const row of page.items) {
        const held = await readAt(kept, tenant, row.id, now);
        if (held !== undefined && isFor(held, digest) && stillStands(held, now)) return held;
      }
      return undefined;
    },
    revoking: (tenant, approvalIds, attempt) => revokingAll(kept, tenant, approvalIds, attempt),
    async deliver(answerer, approvalId, attempt) {
      // Two answers at once: the loser's compare-and-set fails, it reads again and finds the approval answered.
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const held = await readAt(kept, answerer.tenant, approvalId, attempt.at);
        if (held === undefined) {
          throw new RuntimeError('NOT_FOUND', `Approval request not found: ${approvalId}`, {
            approval_id: approvalId,
          });
        }
        const outcome = await tryDeliver(kept, held, answerer, attempt);
        if (outcome !== undefined) return outcome;
      }
      throw new RuntimeError('CONFLICT', undefined, { approval_id: approvalId });
    },
    async shown(tenant, approvalId) {
      const sealed = await store.unseal(chainOf(tenant, approvalId), 1);
      if (sealed.state !== 'present') return undefined;
      return (sealed.value as { shown: string }).shown;
    },
  };
}

function answerEvent(
  subject: ApprovalSubject,
  answerer: Answerer,
  delivery: Delivery & { kind: 'answered' },
  at: EpochMs,
): ApprovalEvent {
  const note = delivery.note === undefined ? {} : { note: delivery.note };
  if (delivery.decision === 'reject') return { type: 'approval_rejected', by: answerer, at, ...note };
  const useBy = at + subject.useWithinMs;
  return {
    type: 'approval_approved',
    by: answerer,
    at,
    useBy,
    bindingDigest: bindingDigest(subject.actionDigest, subject.approvalId, useBy),
    ...note,
  };
}

async function tryDeliver(
  { store, companion }: Kept,
  held: Held,
  answerer: Answerer,
  attempt: { delivery: Delivery; actor?: string; at: EpochMs },
): Promise<DeliveryOutcome | undefined> {
  const { approval, seq } = held;
  const { at } = attempt;
  const delivery = asShown(answerer, attempt.delivery);
  if (approval.state !== 'pending') {
    return { approval, moved: false, why: `Approval request is not pending: ${approval.subject.approvalId}` };
  }
  const enough: Sufficiency =
    delivery.kind === 'answered'
      ? suffices(answerer, approval.subject, delivery)
      : { ok: false, why: `no answer: ${delivery.kind}` };
  const why = enough.ok ? undefined : enough.why;
  const recorded: ApprovalEvent = {
    type: 'approval_delivered',
    delivery: {
      delivery,
      channel: answerer.channel,
      at,
      ...(attempt.actor === undefined ? {} : { actor: attempt.actor }),
      ...(why === undefined || delivery.kind !== 'answered' ? {} : { insufficient: why }),
    },
  };
  const events: ApprovalEvent[] = [recorded];
  if (delivery.kind === 'answered' && enough.ok) {
    events.push(answerEvent(approval.subject, answerer, delivery, at));
  }
  let next: Approval = approval;
  for (const event of events) {
    const step = transition(next, event);
    if (!step.ok) return { approval, moved: false, why: step.why };
    next = step.approval;
  }
  const answered = {
    appends: events.map((event, index) => append(approval.subject, seq + index, event, at)),
    rows: [{ row: toRow(next, at) }],
  };
  const beside = next.state === 'pending' ? {} : await companion.moved([next.subject], next.state, at);
  const result = await store.commit(together(answered, beside));
  if (!result.ok) return undefined;
  return { approval: next, moved: next.state !== 'pending', ...(why === undefined ? {} : { why }) };
}
