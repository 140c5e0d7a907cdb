// Owns what a managed session is between its steps: a union of states and the one pure function that moves it. It is a
// part of the fold of the session's chain (sessions/session.ts), so it is held, snapshotted and bounded with it.
//
// M1  A state follows from records alone. An event that is not legal in a state is refused and changes nothing, so a
//     damaged or late record never revives a session that has ended.
// M2  `step` counts the managed records. Every own commit is guarded by it: two writers never both take the next step.
// M3  `active` means: an invocation was started and has not said how it ended. If nobody holds the session's lease, its
//     process is gone and the next run goes on where it stopped.
import type { EpochMs } from '../../base/clock.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { ManagedParent } from './contract.ts';

export interface ManagedFacts {
  /** Position of the record whose sealed payload is the input of the session. */
  inputSeq: number;
  parent?: ManagedParent;
  expiresAt?: EpochMs;
}

export interface Invocation {
  /** 1-based. */
  number: number;
  instance: string;
}

export type SuspendedWhy =
  'budget' | 'reply' | 'escalated' | 'reconcile' | 'busy' | 'stopped' | 'interrupted';

/** How an invocation ended without ending the session, or with its last turn. */
export type Ending =
  | { as: 'suspended'; why: SuspendedWhy; reason: string; callId?: string }
  | { as: 'waiting_approval'; requestId: string; callId: string }
  | { as: 'completed' }
  | { as: 'error'; stage: 'execute_turn' | 'call_tool' | 'session'; error: LoopError };

interface Common {
  facts: ManagedFacts;
  step: number; // M2
  invocations: number;
  /** Records whose sealed messages no turn has taken in yet, oldest first. */
  untaken: number[];
  /** Calls of unknown effect of which somebody has taken note. */
  accepted: string[];
}

export type ManagedState =
  | (Common & { status: 'queued' })
  /** `invocation` is absent until the first run. */
  | (Common & { status: 'active'; invocation?: Invocation })
  | (Common & { status: 'suspended' } & Omit<Extract<Ending, { as: 'suspended' }>, 'as'>)
  | (Common & { status: 'waiting_approval' } & Omit<Extract<Ending, { as: 'waiting_approval' }>, 'as'>)
  | (Common & { status: 'error' } & Omit<Extract<Ending, { as: 'error' }>, 'as'>)
  | (Common & { status: 'completed' })
  | (Common & { status: 'canceled'; reason: string })
  | (Common & { status: 'expired'; reason: string });

export type ManagedEvent =
  | { type: 'session_admitted'; as: 'queued' | 'active'; facts: ManagedFacts }
  | {
      type: 'invocation_started';
      invocation: Invocation;
      /** Where its sealed messages lie, if it brought any. */
      messagesAt?: number;
      accepted: string[];
    }
  | { type: 'invocation_ended'; number: number; ending: Ending }
  | { type: 'session_canceled'; reason: string }
  | { type: 'session_expired'; reason: string }
  /** A turn takes in every message that waits. */
  | { type: 'turn_started' };

export type Step = { ok: true; state: ManagedState } | { ok: false; why: string };

// More than a session can hold calls that are still talked about.
const KEPT_ACCEPTED = 64;

function refuse(why: string): Step {
  return { ok: false, why };
}

function admit(event: Extract<ManagedEvent, { type: 'session_admitted' }>): Step {
  const { facts } = event;
  const common = { facts, step: 1, invocations: 0, untaken: [facts.inputSeq], accepted: [] };
  return { ok: true, state: { ...common, status: event.as } };
}

/** What every state carries on, one step later. */
function onward({ facts, step, invocations, untaken, accepted }: ManagedState): Common {
  return { facts, step: step + 1, invocations, untaken, accepted };
}

function begin(state: ManagedState, event: Extract<ManagedEvent, { type: 'invocation_started' }>): Step {
  const { invocation, messagesAt, accepted } = event;
  if (invocation.number !== state.invocations + 1) return refuse('it is not the next invocation');
  const common = onward(state);
  return {
    ok: true,
    state: {
      ...common,
      status: 'active',
      invocation,
      invocations: invocation.number,
      untaken: messagesAt === undefined ? common.untaken : [...common.untaken, messagesAt],
      accepted: [...new Set([...common.accepted, ...accepted])].slice(-KEPT_ACCEPTED),
    },
  };
}

function end(state: ManagedState, event: Extract<ManagedEvent, { type: 'invocation_ended' }>): Step {
  if (state.status !== 'active') return refuse('no invocation is under way');
  if (state.invocation?.number !== event.number) return refuse('another invocation is under way');
  const { as: status, ...how } = event.ending;
  return { ok: true, state: { ...onward(state), ...how, status } as ManagedState };
}

export function isOver(state: ManagedState): boolean {
  return state.status === 'completed' || state.status === 'canceled' || state.status === 'expired';
}

/** What the event makes of the state, or why it may not happen (M1). */
export function transition(state: ManagedState | undefined, event: ManagedEvent): Step {
  if (state === undefined) {
    return event.type === 'session_admitted' ? admit(event) : refuse('it is not a managed session');
  }
  if (isOver(state)) return refuse(`it is ${state.status}`);
  switch (event.type) {
    case 'session_admitted':
      return refuse('it has been admitted before');
    case 'invocation_started':
      return begin(state, event);
    case 'invocation_ended':
      return end(state, event);
    case 'session_canceled':
      return { ok: true, state: { ...onward(state), status: 'canceled', reason: event.reason } };
    case 'session_expired':
      return { ok: true, state: { ...onward(state), status: 'expired', reason: event.reason } };
    case 'turn_started':
      return { ok: true, state: { ...state, untaken: [] } };
  }
}

/** The fold: an event that may not happen is left out. */
export function applyManaged(state: ManagedState | undefined, event: ManagedEvent): ManagedState | undefined {
  const step = transition(state, event);
  return step.ok ? step.state : state;
}
