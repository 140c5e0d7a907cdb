// Owns the ends that somebody else than the model gives a session: it is canceled, or its time has passed. One commit
// ends it, closes every call that has not begun, and takes back every approval that is still open, so that nothing of
// the session can run afterwards. A call that is running is left to its outcome.
import { RuntimeError } from '../../base/errors.ts';
import type { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Commit } from '../../store/contract.ts';
import { stepCommit } from './commits.ts';
import { lastOf } from './last.ts';
import type { Close } from './last.ts';
import { actingCaller, loadManaged, statusOf } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { isOver } from './state.ts';
import { takeStep } from './step.ts';

async function closing(room: ManagedRoom, at: ManagedHeld, caller: Caller, close: Close): Promise<Commit> {
  const now = room.deps.clock.now();
  const last = await lastOf(room.deps, at.state, close, now);
  const base = stepCommit(
    at,
    caller,
    [
      { type: `session_${close.as}`, evidence: last.evidence },
      { type: 'session_closed', evidence: { status: close.as } },
    ],
    { when: 'each', now },
  );
  return {
    ...base,
    appends: [...(base.appends ?? []), ...(last.commit.appends ?? [])],
    rows: [...(base.rows ?? []), ...(last.commit.rows ?? [])],
    counters: [...(base.counters ?? []), ...(last.commit.counters ?? [])],
  };
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

/**
 * Whether the person that the session waits for has had the longest time that a run may wait; whoever looks at it under
 * another agent does not know how long that is.
 */
async function waitedTooLong(room: ManagedRoom, { managed, state }: ManagedHeld): Promise<boolean> {
  const { kernel, config, clock } = room.deps;
  const { onExpiry, maxWaitSeconds } = config.controls;
  const isOurs = state.facts.agentId === config.agent.id;
  if (!isOurs || managed.status !== 'waiting_approval' || onExpiry !== 'cancel_run') return false;
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
