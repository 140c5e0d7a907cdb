// Owns the item that an escalation leaves for an operator: the turn that hands over opens it, and whatever takes the session
// on, or ends it, closes it.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { RowWrite, Store, StoredRow } from '../../store/contract.ts';
import type { LiveState, SessionFacts } from '../sessions/session.ts';

/** The item of a session that waits for an operator; undefined: it does not. */
export async function itemOf(
  store: Pick<Store, 'row'>,
  state: LiveState | undefined,
): Promise<StoredRow | undefined> {
  if (state?.status !== 'escalated') return undefined;
  return store.row('item', state.facts.tenant, state.itemId);
}

export function openedItem(
  { tenant, principal, id: ref }: SessionFacts,
  { itemId, body, at }: { itemId: string; body: JsonObject; at: EpochMs },
): RowWrite {
  const row = { kind: 'item' as const, tenant, id: itemId, principal, status: 'open', ref, body };
  return { row: { ...row, updatedAt: at }, when: 'absent' };
}

/** Nothing where there is no item. */
export function closedItem(item: StoredRow | undefined, at: EpochMs): RowWrite[] {
  if (item === undefined) return [];
  const { version: _version, ...row } = item;
  return [{ row: { ...row, status: 'closed', updatedAt: at } }];
}
