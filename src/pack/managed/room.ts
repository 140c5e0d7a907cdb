// Owns what the parts of a managed run share: the pack's ports and sessions, the turns, the holds, and the words in which
// a session that cannot be run is refused.
import { RuntimeError } from '../../base/errors.ts';
import type { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { PackDeps } from '../deps.ts';
import { sessionNotFound } from '../sessions/sessions.ts';
import type { HeldSession, Sessions } from '../sessions/sessions.ts';
import type { LiveState } from '../sessions/session.ts';
import type { TurnFailure, TurnInput, TurnOutput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import type { ManagedStatus } from './contract.ts';
import type { Holds } from './hold.ts';
import { isOver } from './state.ts';
import type { ManagedState } from './state.ts';
import type { Transcripts } from './transcript.ts';

export interface ManagedRoom {
  deps: PackDeps;
  sessions: Sessions;
  holds: Holds;
  transcripts: Transcripts;
  executeTurn(caller: Caller, input: TurnInput, io: TurnIo): Promise<TurnOutput | TurnFailure>;
}

export interface ManagedHeld {
  held: HeldSession;
  state: LiveState;
  managed: ManagedState;
}

/** The caller's own managed session. Throws NOT_FOUND; INVALID_INPUT for a session that a host runs turn by turn. */
export async function loadManaged(
  room: ManagedRoom,
  caller: Caller,
  id: string,
  series?: Series,
): Promise<ManagedHeld> {
  const held = await room.sessions.load(caller, id, series);
  const { state } = held;
  const { managed } = state;
  if (state.facts.kind === 'default') throw sessionNotFound(id);
  if (managed === undefined) {
    throw new RuntimeError(
      'INVALID_INPUT',
      'This session is run turn by turn by its host; go on with agent:execute-turn.',
      { field: '/session_id', session_id: id },
    );
  }
  return { held, state, managed };
}

/** Closed by a turn of a host, without a run: as good as completed. */
export function statusOf({ state, managed }: Omit<ManagedHeld, 'held'>): ManagedStatus {
  return state.status === 'closed' && managed.status !== 'active' && !isOver(managed)
    ? 'completed'
    : managed.status;
}

/** Throws SESSION_CLOSED for a session that has ended, saying how and what to do. */
export function assertNotOver(at: Omit<ManagedHeld, 'held'>): void {
  const status = statusOf(at);
  if (status !== 'completed' && status !== 'canceled' && status !== 'expired') return;
  const why = 'reason' in at.managed ? ` (${at.managed.reason})` : '';
  throw new RuntimeError('SESSION_CLOSED', `This session is ${status}${why}; start a new session to go on.`, {
    session_id: at.state.facts.id,
    status,
  });
}

/** Who acts in a run: the session's own actor, with the roles and scopes that the caller has now. */
export function actingCaller(caller: Caller, { facts }: LiveState): Caller {
  return { ...caller, actor: facts.actor, lane: facts.lane };
}
