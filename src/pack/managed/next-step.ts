// Owns what a run of a managed session does next, as one pure and total function over what the journal says and what
// this invocation has seen. A first run, a resume and a recovery ask the same question; nothing else is remembered.
//
// N1  Every requested call is carried to the kernel's door before the model speaks again; one that waits holds up none.
// N2  What is unknown stops the run until somebody takes note of it by name; it is never tried again.
// N3  A bound of turns ends the invocation, never the session.
import type { EpochMs } from '../../base/clock.ts';
import { owed } from '../sessions/session.ts';
import type { LiveState, RequestedCall } from '../sessions/session.ts';
import { failureThatEnds } from '../loop/client-port.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { Ending, ManagedState } from './state.ts';

/** What this invocation learned of a call that the session's own records do not say. */
export type Tried = { at: 'waiting'; requestId: string } | { at: 'busy' };

export interface View {
  session: LiveState;
  managed: ManagedState;
  now: EpochMs;
  turnsLeft: number;
  /** By call id. */
  tried: ReadonlyMap<string, Tried>;
  /** The turn of this invocation that gave no output. */
  failure?: LoopError;
  /** The caller of this run wants it to stop. */
  isStopped: boolean;
}

export type NextStep =
  | { do: 'call'; callId: string }
  | { do: 'turn' }
  | { do: 'end'; ending: Ending }
  | { do: 'expire'; reason: string };

export const REASONS = {
  budget: 'Invocation turn budget reached.',
  reply: 'The model replied; the session takes further messages.',
  escalated: 'The model handed over to a person; the session takes further messages.',
  reconcile:
    'It is not known whether a call took effect. Look at the downstream system, then resume and accept it.',
  busy: 'A call or turn of this session is still under way in another process.',
  stopped: 'The run was stopped by its caller.',
  interrupted: 'The process that ran it has gone; what it had recorded stands. Resume it.',
} as const;

function suspend(why: keyof typeof REASONS, callId?: string): NextStep {
  const ending = { as: 'suspended', why, reason: REASONS[why] } as const;
  return { do: 'end', ending: callId === undefined ? ending : { ...ending, callId } };
}

/** A call that this invocation has yet to carry to the door. A running one is too: only the door can tell if it lives. */
function isDue(call: RequestedCall, view: View): boolean {
  if (view.tried.has(call.id)) return false;
  const { at } = call.state;
  return (at === 'requested' && call.told === 'nothing') || at === 'waiting' || at === 'running';
}

export function isUnknown(call: RequestedCall, accepted: readonly string[]): boolean {
  const { state } = call;
  const isSo = (state.at === 'finished' || state.at === 'settled') && state.unknown === true;
  return isSo && call.told !== 'outcome' && !accepted.includes(call.id);
}

function endsRun({ state, told }: RequestedCall): boolean {
  return 'endsRun' in state && told !== 'outcome';
}

function ended({ id, tool, state }: RequestedCall): NextStep {
  const error: LoopError =
    state.at === 'finished'
      ? { code: 'TOOL_EXECUTION_FAILED', message: failureThatEnds(id, tool) }
      : { code: 'POLICY_DENIED', message: `A rule that ends the run denied the call ${id} of ${tool}.` };
  return { do: 'end', ending: { as: 'error', stage: 'call_tool', error } };
}

/** What of the last answer's calls keeps the model from speaking; undefined: nothing does. */
function heldUp(view: View): NextStep | undefined {
  const { calls } = view.session;
  // New messages begin a new run of the session, so what ended the last one has had its effect.
  const ender = view.managed.untaken.length === 0 ? calls.find(endsRun) : undefined;
  if (ender !== undefined) return ended(ender);
  for (const call of calls) {
    const tried = view.tried.get(call.id);
    if (tried?.at === 'busy') return suspend('busy', call.id);
    if (tried?.at === 'waiting' && call.state.at === 'waiting') {
      const { requestId } = tried;
      return { do: 'end', ending: { as: 'waiting_approval', requestId, callId: call.id } };
    }
  }
  const unknown = calls.find((call) => isUnknown(call, view.managed.accepted));
  return unknown === undefined ? undefined : suspend('reconcile', unknown.id);
}

function hasNews(view: View): boolean {
  const { session, managed } = view;
  if (managed.untaken.length > 0 || session.unseen) return true;
  return session.calls.some((call) => owed(call) === 'outcome');
}

/** Total: for every view there is exactly one next step. */
export function nextStep(view: View): NextStep {
  const { session, managed, failure } = view;
  if (session.status === 'closed') return { do: 'end', ending: { as: 'completed' } };
  const { expiresAt } = managed.facts;
  if (expiresAt !== undefined && view.now >= expiresAt) {
    return { do: 'expire', reason: 'The time that was given to this session has passed.' };
  }
  if (view.isStopped) return suspend('stopped');
  // The turn of another process that lives; it is not this run's to judge.
  if (failure?.code === 'CONFLICT') return suspend('busy');
  if (failure !== undefined) {
    return { do: 'end', ending: { as: 'error', stage: 'execute_turn', error: failure } };
  }
  const due = session.calls.find((call) => isDue(call, view));
  if (due !== undefined) return { do: 'call', callId: due.id };
  const stop = heldUp(view);
  if (stop !== undefined) return stop;
  if (hasNews(view)) return view.turnsLeft > 0 ? { do: 'turn' } : suspend('budget');
  return suspend(session.status === 'escalated' ? 'escalated' : 'reply');
}
