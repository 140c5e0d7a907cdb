// Owns what ends with a session, whoever ends it: every call of it that has not begun, every approval that is still open, the
// item that waits for an operator, and the turn that is under way. A call that is running is left to its outcome.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Commit } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import type { LiveState, RequestedCall } from '../sessions/session.ts';
import { closedItem, itemOf } from '../turn/escalation.ts';
import { turnCounter } from '../turn/prepare.ts';
import { closedCallRow } from '../turn/rows.ts';

export interface Close {
  as: 'canceled' | 'expired';
  reason: string;
  /** Who wants it. */
  askedBy: string;
}

function hasNotBegun(call: RequestedCall): boolean {
  return call.state.at === 'requested' || call.state.at === 'waiting';
}

/** What goes into the commit that ends the session, and into its record. */
export async function lastOf(
  { store, config, kernel }: PackDeps,
  state: LiveState,
  close: Close,
  now: EpochMs,
): Promise<{ commit: Commit; evidence: JsonObject }> {
  const { facts, calls } = state;
  const open = calls.filter(hasNotBegun);
  const reason = kernel.redact({ reason: close.reason }).value.reason ?? '';
  const rows: NonNullable<Commit['rows']>[number][] = [];
  for (const call of open) {
    const row = await store.row('request', facts.tenant, call.id);
    const how = {
      by: 'nobody' as const,
      reason: `the session was ${close.as}`,
      sideEffect: 'not_executed',
      policyDigest: config.policy.digest,
      at: now,
    };
    rows.push(closedCallRow(facts, call, how, row === undefined ? 'absent' : { version: row.version }));
  }
  const asked = open.flatMap(({ state: at }) => (at.at === 'waiting' ? [at.approvalId] : []));
  const revoked = await kernel.revocation(facts.tenant, asked, `the session was ${close.as}`);
  rows.push(...(revoked?.rows ?? []), ...closedItem(await itemOf(store, state), now));
  return {
    // A turn that is under way may not add to a session that has ended: its outcome is bound to this counter.
    commit: { appends: revoked?.appends ?? [], rows, counters: [{ key: turnCounter(facts), add: 1 }] },
    evidence: { reason, asked_by: close.askedBy, closed_calls: open.map((call) => call.id) },
  };
}
