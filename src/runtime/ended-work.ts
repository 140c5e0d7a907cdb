// Owns which work has ended, so that it may be taken out of the journal.
import { RuntimeError } from '../base/errors.ts';
import type { Clock, EpochMs } from '../base/clock.ts';
import { REMOVED } from '../inspect/effective.ts';
import { LONGEST_MS } from '../pack/sessions/default-sessions.ts';
import type { ChainKey, Store, StoredRow } from '../store/contract.ts';

const ENDED: ReadonlySet<string> = new Set(['completed', 'closed', 'canceled', 'expired', 'error']);
/** What they are in that can go on. */
export const AT_REST: ReadonlySet<string> = new Set(['open', 'escalated', 'suspended']);
/** Long enough for every call that began last. */
const DAY_MS = 24 * 60 * 60_000;
const PAGE = 200;
const LATE = 8;

function chainOf({ tenant, id }: StoredRow): ChainKey {
  return { tenant, aggregate: 'session', id };
}

/** The row of a workflow says `error` as soon as one branch failed; only its chain says whether the others go on. */
async function hasLiveBranches(store: Store, row: StoredRow): Promise<boolean> {
  if (row.body.kind !== 'workflow' || row.status !== 'error') return false;
  const head = await store.head(chainOf(row));
  // A wish to cancel that came too late may stand after the end.
  const last = await store.read(chainOf(row), Math.max(1, (head?.seq ?? 0) - LATE), LATE + 1);
  return head !== undefined && !last.some(({ header }) => header.type === 'workflow_failed');
}

/** The session of calls that name none says nowhere that it is over: it grows too old to be used, and its calls end. */
function isSpent({ body, status }: StoredRow, now: EpochMs): boolean {
  if (status !== 'open' || body.kind !== 'default' || typeof body.started_at !== 'string') return false;
  return now >= Date.parse(body.started_at) + LONGEST_MS + DAY_MS;
}

/** Nobody finds it any more to go on with it, or to end it; but calls without a session may still come to theirs. */
function isErased({ body }: StoredRow): boolean {
  return body.erased_at !== undefined && body.kind !== 'default';
}

export async function hasEnded(store: Store, row: StoredRow, now: EpochMs): Promise<boolean> {
  if (ENDED.has(row.status)) return !(await hasLiveBranches(store, row));
  return isErased(row) || isSpent(row, now);
}

/** Says why it is not taken, and what ends it. */
export function goesOn({ id, status, body }: StoredRow): RuntimeError {
  const ends =
    body.kind === 'default' ? 'it is over a day after it has grown too old to be used' : 'cancel it first';
  const remedy = status === REMOVED ? 'nothing of it is left' : ends;
  const details = { session_id: id, status };
  return new RuntimeError('CONFLICT', `The session ${id} is ${status}; ${remedy}.`, details);
}

/** When something last happened to it: a call of a session without a name moves its chain and not its row. */
async function lastAt(store: Store, row: StoredRow): Promise<EpochMs> {
  if (row.body.kind !== 'default') return row.updatedAt;
  const head = await store.head(chainOf(row));
  const [last] = head === undefined ? [] : await store.read(chainOf(row), head.seq, 1);
  return last?.header.at ?? row.updatedAt;
}

/** Ended work of a tenant that nothing has happened to since; the sessions of nodes go with their workflows. */
export async function* endedBefore(
  { store, clock }: { store: Store; clock: Clock },
  tenant: string,
  time: EpochMs,
): AsyncGenerator<StoredRow> {
  for (const status of [...ENDED, ...AT_REST]) {
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? {} : { cursor };
      const page = await store.list({ kind: 'session', tenant, status, limit: PAGE, ...from });
      for (const row of page.items) {
        const isOld = row.updatedAt < time && row.body.parent === undefined;
        if (isOld && (await hasEnded(store, row, clock.now())) && (await lastAt(store, row)) < time)
          yield row;
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
}
