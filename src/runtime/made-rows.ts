// Owns the rows that were made from what the chains of a session say: which they are, and what is left of each when its words
// are erased, or when the chain is removed.
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { REMOVED } from '../inspect/effective.ts';
import { storyOf } from '../inspect/evidence.ts';
import type { ChainKey, Row, RowKind, RowWrite, Store, StoredRow } from '../store/contract.ts';

const PAGE = 200;

async function* rowsOf(store: Store, kind: RowKind, tenant: string, ref: string): AsyncGenerator<StoredRow> {
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await store.list({ kind, tenant, ref, limit: PAGE, ...from });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** The chain's own row, and those of the calls, runs and escalations of a session. */
export async function rowsMadeFrom(store: Store, { aggregate, tenant, id }: ChainKey): Promise<StoredRow[]> {
  if (aggregate !== 'session' && aggregate !== 'approval') return [];
  const own = await store.row(aggregate, tenant, id);
  const found = own === undefined ? [] : [own];
  if (aggregate === 'approval') return found;
  for (const kind of ['request', 'run', 'item'] as const) {
    for await (const row of rowsOf(store, kind, tenant, id)) found.push(row);
  }
  return found;
}

/** The approvals that calls of the session asked for, as their rows tell it: its chain may have been erased. */
async function approvalsAskedFor(store: Store, tenant: string, session: string): Promise<ChainKey[]> {
  const ids = new Set<string>();
  for await (const { body } of rowsOf(store, 'request', tenant, session)) {
    const { approval_ids: before } = body;
    for (const id of [body.approval_id, ...(Array.isArray(before) ? before : [])]) {
      if (typeof id === 'string') ids.add(id);
    }
  }
  return [...ids].map((id) => ({ tenant, aggregate: 'approval', id }));
}

/** The session's own chain, then those of its approvals. */
export async function chainsOf(store: Store, tenant: string, session: string): Promise<ChainKey[]> {
  const told = await storyOf(store, tenant, session);
  const asked = await approvalsAskedFor(store, tenant, session);
  return [...new Map([...told, ...asked].map((chain) => [`${chain.aggregate}/${chain.id}`, chain])).values()];
}

/** Of a row that says whose session it was of, the session stays. */
export function removedRow(row: StoredRow, at: EpochMs): RowWrite {
  const { kind, tenant, id, principal, body, ref } = row;
  const shown = kind === 'session' && typeof body.kind === 'string' ? { kind: body.kind } : {};
  const of = ref === undefined || kind === 'approval' ? {} : { ref };
  const left = { kind, tenant, id, principal, ...of, status: REMOVED, updatedAt: at };
  return { row: { ...left, body: { ...shown, removed_at: isoTime(at) } }, when: { version: row.version } };
}

function without(body: JsonObject, ...keys: string[]): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([key]) => !keys.includes(key)));
}

/** Arguments, and whatever may quote them or was written by a person; ids, digests, states and times stay. */
function wordless(kind: RowKind, body: JsonObject): JsonObject {
  switch (kind) {
    case 'approval': {
      const subject = isObject(body.subject) ? without(body.subject, 'idempotencyKey') : {};
      return { ...without(body, 'note'), subject: { ...subject, arguments: {}, reasons: [] } };
    }
    case 'request': {
      const decision = isObject(body.decision) ? without(body.decision, 'attributes') : {};
      return { ...body, decision: { ...decision, reasons: [] } };
    }
    case 'session': {
      const { error } = body;
      const code = isObject(error) && typeof error.code === 'string' ? { error: { code: error.code } } : {};
      return { ...without(body, 'reason', 'error'), ...code };
    }
    default:
      return without(body, 'reason', 'error');
  }
}

/** It can still be answered, or used. */
export function isOpenApproval(status: string): boolean {
  return status === 'pending' || status === 'approved';
}

/** The approvals by the calls that asked for them. */
function byCall(rows: readonly StoredRow[]): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { kind, id, body } of rows) {
    const call = kind === 'approval' && isObject(body.subject) ? body.subject.callId : undefined;
    if (typeof call === 'string') found.set(call, [...(found.get(call) ?? []), id]);
  }
  return found;
}

/**
 * The rows of one piece of work without anything that somebody said; those of which that is so already are left out. An
 * approval whose words are gone can be used by nobody; that it belongs to the work only the row of its call will tell.
 */
export function erasedRows(rows: readonly StoredRow[], at: EpochMs): RowWrite[] {
  const approvals = byCall(rows);
  return rows.flatMap((row) => {
    if (row.status === REMOVED || row.body.erased_at !== undefined) return [];
    const { version, ...kept } = row;
    const status = row.kind === 'approval' && isOpenApproval(row.status) ? 'revoked' : row.status;
    const asked = row.kind === 'request' ? approvals.get(row.id) : undefined;
    const body: JsonObject = {
      ...wordless(row.kind, row.body),
      ...(asked === undefined ? {} : { approval_ids: asked }),
      erased_at: isoTime(at),
    };
    const left: Row = { ...kept, status, body };
    return [{ row: left, when: { version } }];
  });
}
