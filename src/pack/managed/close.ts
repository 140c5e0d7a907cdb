// Owns the ends that somebody else than the model gives a session: it is canceled, or its time has passed. One commit
// ends it, closes every call that has not begun, and takes back every approval that is still open, so that nothing of
// the session can run afterwards. A call that is running is left to its outcome.
import { RuntimeError } from '../../base/errors.ts';
import type { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Commit } from '../../store/contract.ts';
import type { RequestedCall } from '../sessions/session.ts';
import { closedItem, itemOf } from '../turn/escalation.ts';
import { closedCallRow } from '../turn/rows.ts';
import { turnCounter } from '../turn/prepare.ts';
import { stepCommit } from './commits.ts';
import { actingCaller, loadManaged, statusOf } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { isOver } from './state.ts';
import { takeStep } from './step.ts';

export interface Close {
  as: 'canceled' | 'expired';
  reason: string;
  /** Who wants it. */
  askedBy: string;
}

function hasNotBegun(call: RequestedCall): boolean {
  return call.state.at === 'requested' || call.state.at === 'waiting';
}

async function closing(room: ManagedRoom, at: ManagedHeld, caller: Caller, close: Close): Promise<Commit> {
  const { store, clock, config, kernel } = room.deps;
  const { facts, calls } = at.state;
  const now = clock.now();
  const open = calls.filter(hasNotBegun);
  const reason = kernel.redact({ reason: close.reason }).value.reason ?? '';
  const base = stepCommit(
    at,
    caller,
    [
      {
        type: `session_${close.as}`,
        evidence: { reason, asked_by: close.askedBy, closed_calls: open.map((call) => call.id) },
      },
      { type: 'session_closed', evidence: { status: close.as } },
    ],
    { when: 'each', now },
  );
  const appends = [...(base.appends ?? [])];
  const rows = [...(base.rows ?? [])];
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
  const asked = open.flatMap(({ state }) => (state.at === 'waiting' ? [state.approvalId] : []));
  const revoked = await kernel.revocation(facts.tenant, asked, `the session was ${close.as}`);
  appends.push(...(revoked?.appends ?? []));
  rows.push(...(revoked?.rows ?? []), ...closedItem(await itemOf(store, at.state), now));
  // A turn that is under way may not add to a session that has ended: its outcome is bound to this counter.
  const counters = [...(base.counters ?? []), { key: turnCounter(facts), add: 1 }];
  return { ...base, appends, rows, counters };
}

// Each round something of the session moved on; more than a few means a flood.
const MAX_ROUNDS = 16;

/** Ends the session unless it has ended; what it is afterwards. Throws NOT_FOUND. */
export async function closeSession(
  room: ManagedRoom,
  caller: Caller,
  id: string,
  close: Close,
): Promise<ManagedHeld> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const at = await loadManaged(room, caller, id);
    if (isOver(at.managed) || at.state.status === 'closed') return at;
    const taken = await takeStep(room, at, await closing(room, at, actingCaller(caller, at.state), close));
    if (!taken.ok) continue;
    room.holds.end(at.held.chain);
    return taken.now ?? loadManaged(room, caller, id);
  }
  throw new RuntimeError('CONFLICT', 'The session keeps changing; cancel it again.', { session_id: id });
}

/** Whether the person that the session waits for has had the longest time that a run may wait. */
async function waitedTooLong(room: ManagedRoom, { managed, state }: ManagedHeld): Promise<boolean> {
  const { kernel, config, clock } = room.deps;
  const { onExpiry, maxWaitSeconds } = config.controls;
  if (managed.status !== 'waiting_approval' || onExpiry !== 'cancel_run') return false;
  const approval = await kernel.approvalFor(state.facts.tenant, managed.requestId);
  if (approval?.state !== 'expired' || approval.was !== 'pending') return false;
  return clock.now() >= approval.subject.requestedAt + maxWaitSeconds * 1000;
}

async function whyExpired(room: ManagedRoom, at: ManagedHeld): Promise<string | undefined> {
  const { expiresAt } = at.managed.facts;
  if (expiresAt !== undefined && room.deps.clock.now() >= expiresAt) {
    return 'The time that was given to this session has passed.';
  }
  return (await waitedTooLong(room, at))
    ? 'Nobody answered within the longest time that a run may wait.'
    : undefined;
}

/** The session, with its time checked: one whose time has passed is recorded as expired before anything else is said. */
export async function loadCurrent(
  room: ManagedRoom,
  caller: Caller,
  id: string,
  series?: Series,
): Promise<ManagedHeld> {
  const at = await loadManaged(room, caller, id, series);
  const status = statusOf(at);
  if (status === 'completed' || status === 'canceled' || status === 'expired') return at;
  const reason = await whyExpired(room, at);
  return reason === undefined
    ? at
    : closeSession(room, caller, id, { as: 'expired', reason, askedBy: 'clock' });
}
