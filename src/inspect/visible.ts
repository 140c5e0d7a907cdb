// Owns who may see which rows: a caller its own principal's, an operator its whole tenant's, nobody another tenant's.
import { RuntimeError } from '../base/errors.ts';
import type { Answerer, ApprovalSubject } from '../kernel/approvals/approval.ts';
import { mayAnswer } from '../kernel/approvals/approver.ts';
import { isOperator } from '../kernel/identity.ts';
import type { Caller } from '../kernel/identity.ts';
import type { RowKind, Store, StoredRow } from '../store/contract.ts';

export function ownRows(caller: Caller): { tenant: string; principal?: string } {
  return isOperator(caller)
    ? { tenant: caller.tenant }
    : { tenant: caller.tenant, principal: caller.principal };
}

/** Whether a row of the caller's own tenant may be shown to it. */
export function mayRead(caller: Caller, row: StoredRow): boolean {
  return row.principal === caller.principal || isOperator(caller);
}

/** Whether somebody may know that an approval exists: its principal, who may answer it, and operators of its tenant. */
export function mayKnow(who: Answerer, subject: ApprovalSubject): boolean {
  if (who.tenant !== subject.tenant) return false;
  return who.principal === subject.principal || isOperator(who) || mayAnswer(who, subject).ok;
}

/** One row the caller may see; a foreign and an absent one answer alike. */
export async function visibleRow(
  store: Store,
  caller: Caller,
  kind: RowKind,
  id: string,
): Promise<StoredRow> {
  const row = await store.row(kind, caller.tenant, id);
  if (row === undefined || !mayRead(caller, row)) throw notFound(kind, id);
  return row;
}

const STABLE_SENTENCE: Partial<Record<RowKind, string>> = {
  approval: 'Approval request not found',
  session: 'Session not found',
  capability_session: 'Capability session not found',
};

export function notFound(kind: RowKind, id: string): RuntimeError {
  const sentence = STABLE_SENTENCE[kind] ?? `No such ${kind}`;
  return new RuntimeError('NOT_FOUND', `${sentence}: ${id.slice(0, 80)}`, { kind });
}

const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 200;

export interface PageQuery {
  filter?: { status?: string; session_id?: string; tool?: string };
  limit?: number;
  cursor?: string;
}

/** The limit of a page, or the usual one. Throws INVALID_INPUT when out of range. */
export function checkedLimit(limit: number = DEFAULT_LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new RuntimeError('INVALID_INPUT', `/limit: must be a whole number from 1 to ${MAX_LIMIT}`, {
    field: '/limit',
  });
}
