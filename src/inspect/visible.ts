// Owns who may see which rows: a caller its own principal's, an operator its whole tenant's, nobody another tenant's.
import { RuntimeError } from '../base/errors.ts';
import { isOperator } from '../kernel/identity.ts';
import type { Caller } from '../kernel/identity.ts';
import type { RowKind, RowQuery, Store, StoredRow } from '../store/contract.ts';

export function ownRows(caller: Caller): { tenant: string; principal?: string } {
  return isOperator(caller)
    ? { tenant: caller.tenant }
    : { tenant: caller.tenant, principal: caller.principal };
}

/** One row the caller may see; a foreign and an absent one answer alike. */
export async function visibleRow(
  store: Store,
  caller: Caller,
  kind: RowKind,
  id: string,
): Promise<StoredRow> {
  const row = await store.row(kind, caller.tenant, id);
  if (row === undefined || (row.principal !== caller.principal && !isOperator(caller))) {
    throw notFound(kind, id);
  }
  return row;
}

const STABLE_SENTENCE: Partial<Record<RowKind, string>> = {
  approval: 'Approval request not found',
  session: 'Session not found',
};

export function notFound(kind: RowKind, id: string): RuntimeError {
  const sentence = STABLE_SENTENCE[kind] ?? `No such ${kind}`;
  return new RuntimeError('NOT_FOUND', `${sentence}: ${id.slice(0, 80)}`, { kind });
}

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 200;

export interface PageQuery {
  filter?: { status?: string; session_id?: string; tool?: string };
  limit?: number;
  cursor?: string;
}

/** The store's query for a list request; refuses a limit out of range. */
export function rowQuery(caller: Caller, kind: RowKind, query: PageQuery): RowQuery {
  const limit = query.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new RuntimeError('INVALID_INPUT', `/limit: must be a whole number from 1 to ${MAX_LIMIT}`, {
      field: '/limit',
    });
  }
  return {
    kind,
    ...ownRows(caller),
    limit,
    ...(query.filter?.status === undefined ? {} : { status: query.filter.status }),
    // Only a request's row refers to its session; other lists are filtered by what their items say.
    ...(query.filter?.session_id === undefined || kind !== 'request' ? {} : { ref: query.filter.session_id }),
    ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
  };
}
