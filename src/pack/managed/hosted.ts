// Owns the end that somebody gives a session that a host runs turn by turn: nobody but its model would end it otherwise.
// One commit closes it; a turn that is under way then has nothing to add to.
import { RuntimeError } from '../../base/errors.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Commit } from '../../store/contract.ts';
import type { LiveState } from '../sessions/session.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import { runRow, sessionRow } from '../turn/rows.ts';
import { contextOfState } from './commits.ts';
import { lastOf } from './last.ts';
import type { Close } from './last.ts';
import type { ManagedRoom } from './room.ts';
import { actingCaller } from './room.ts';
import { takeStep } from './step.ts';

async function closing(
  room: ManagedRoom,
  { chain, state }: HeldSession,
  caller: Caller,
  close: Close,
): Promise<Commit> {
  const now = room.deps.clock.now();
  const context = contextOfState(caller, state);
  const last = await lastOf(room.deps, state, close, now);
  const placed = { facts: state.facts, context, held: { state } };
  const progress = {
    status: 'canceled' as const,
    turnCount: state.turnCount,
    lastStatus: 'canceled',
    runStatus: 'canceled' as const,
  };
  const evidence = { ...contextFacts(context), status: close.as, ...last.evidence };
  return {
    ...last.commit,
    appends: [
      { chain, when: { seq: state.seq }, type: 'session_closed', at: now, evidence },
      ...(last.commit.appends ?? []),
    ],
    rows: [
      sessionRow(placed, progress, now),
      ...(state.run === undefined ? [] : [runRow(placed, 'canceled', { turn_index: state.turnCount }, now)]),
      ...(last.commit.rows ?? []),
    ],
  };
}

/** Whether a host runs this session of the caller's. Throws NOT_FOUND. */
export async function isHosted({ sessions }: ManagedRoom, caller: Caller, id: string): Promise<boolean> {
  const { state } = await sessions.load(caller, id);
  return state.managed === undefined && state.facts.kind !== 'default';
}

function endOf(state: LiveState): 'canceled' | 'completed' {
  return state.status === 'closed' && state.finalStatus === 'canceled' ? 'canceled' : 'completed';
}

// Each round its host took a step; more than a few means a flood.
const MAX_ROUNDS = 16;

/** Ends it unless it has ended; how it ended. Throws NOT_FOUND. */
export async function closeHosted(
  room: ManagedRoom,
  caller: Caller,
  id: string,
  close: Close,
): Promise<'canceled' | 'completed'> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const held = await room.sessions.load(caller, id);
    if (held.state.status === 'closed') return endOf(held.state);
    const commit = await closing(room, held, actingCaller(caller, held.state), close);
    const taken = await takeStep(room, { held }, commit);
    if (taken.ok) return 'canceled';
  }
  throw new RuntimeError('CONFLICT', 'The session keeps changing; cancel it again.', { session_id: id });
}
