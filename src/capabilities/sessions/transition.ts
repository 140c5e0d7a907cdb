// Owns how a capability session changes: one pure function over its state and an event, and the fold over events.
//
// V1  An ended session stays as it ended; only how an approval of it was decided is still told on it.
// V2  A lost session goes on only as another session that is linked to it.
// V3  A resume token counts once, before its time, in the state it was given for.
// V5  A planned session that waits for no approval any more, and was granted none, ends: nothing will connect it.
// V4  While the session is open its status says what it waits for: a resume, else an input, else an approval.
import { ENDED_STATUSES } from './capability-session.ts';
import type {
  CapabilityEvent,
  CapabilitySession,
  EndedStatus,
  LossCause,
  OpenStatus,
} from './capability-session.ts';

export type Step = { ok: true; session: CapabilitySession } | { ok: false; why: string };
type Open = CapabilitySession & { status: OpenStatus };
type Lost = CapabilitySession & { status: 'reinitialize_required' };
type Ended = CapabilitySession & { status: EndedStatus };
type Optional = 'token' | 'granted' | 'planned';
type Changed = Omit<Open, 'status' | Optional> & { [K in Optional]?: Open[K] | undefined };

function refuse(why: string): Step {
  return { ok: false, why };
}

/** V4. */
function statusOf({ token, inputs, approvals }: Changed): OpenStatus {
  if (token !== undefined) return 'resumable';
  if (inputs.length > 0) return 'waiting_for_input';
  return approvals.length > 0 ? 'waiting_for_approval' : 'in_progress';
}

function common({
  subject,
  run,
  expiresAt,
  inputs,
  approvals,
  approvalState,
  granted,
  token,
  planned,
}: Changed): Omit<Open, 'status'> {
  return {
    subject,
    run,
    expiresAt,
    inputs,
    approvals,
    approvalState,
    ...(granted === undefined ? {} : { granted }),
    ...(token === undefined ? {} : { token }),
    ...(planned === undefined ? {} : { planned }),
  };
}

function open(changed: Changed): Step {
  return { ok: true, session: { ...common(changed), status: statusOf(changed) } };
}

function ended(
  state: Open | Lost,
  status: EndedStatus,
  facts: { at: number; reason: string; cause?: LossCause; reinitializedAs?: string },
): Step {
  const { at, ...rest } = facts;
  const left = { ...state, inputs: [], token: undefined };
  return { ok: true, session: { ...common(left), ...rest, status, endedAt: at } };
}

type Ending = CapabilityEvent & { type: `capability_session_${EndedStatus}` };

function isEnding(event: CapabilityEvent): event is Ending {
  return ENDINGS.has(event.type);
}

const ENDINGS: ReadonlySet<string> = new Set(ENDED_STATUSES.map((status) => `capability_session_${status}`));

function ending(state: Open | Lost, event: Ending): Step {
  const cause = state.status === 'reinitialize_required' ? { cause: state.cause } : {};
  const { at } = event;
  switch (event.type) {
    case 'capability_session_completed':
      return ended(state, 'completed', { ...cause, at, reason: event.reason });
    case 'capability_session_failed':
      return ended(state, 'failed', { ...cause, at, reason: event.reason });
    case 'capability_session_canceled':
      return ended(state, 'canceled', { ...cause, at, reason: event.reason });
    case 'capability_session_expired':
      return ended(state, 'expired', { at, cause: event.cause, reason: 'its time has passed' });
  }
}

/** Undefined when the token does not count (V3). */
function withoutToken(state: Open | Lost, digest: string, at: number): Changed | undefined {
  if (state.token?.digest !== digest || !(at < state.token.until)) return undefined;
  return { ...state, token: undefined };
}

/** An approval is asked for once, however often the call that needs it comes. */
function awaiting(
  state: Open | Lost,
  { approvalId, run, expiresAt }: CapabilityEvent & { type: 'capability_approval_awaited' },
): Changed {
  const others = state.approvals.filter((id) => id !== approvalId);
  return { ...state, run, expiresAt, approvals: [...others, approvalId], approvalState: 'pending' };
}

type Decided = CapabilityEvent & { type: 'capability_approval_decided' };

/** What was granted may still expire or be taken back. */
function decided(state: CapabilitySession, { approvalId, decided: mark }: Decided): Changed | undefined {
  const isTakenBack = state.granted === approvalId && mark !== 'approved';
  if (!isTakenBack && !state.approvals.includes(approvalId)) return undefined;
  const approvals = state.approvals.filter((id) => id !== approvalId);
  const granted = mark === 'approved' ? approvalId : isTakenBack ? undefined : state.granted;
  return { ...state, approvals, approvalState: approvals.length > 0 ? 'pending' : mark, granted };
}

/** V5. */
function afterDecision(state: Open, event: Decided): Step {
  const changed = decided(state, event);
  if (changed === undefined) return refuse('it waits for no such approval');
  const isNeeded = changed.approvals.length > 0 || changed.granted !== undefined;
  if (state.planned === undefined || isNeeded) return open(changed);
  const { at } = event;
  const left: Open = { ...common(changed), status: state.status };
  return event.decided === 'expired'
    ? ended(left, 'expired', { at, cause: 'max_wait', reason: 'its approval expired' })
    : ended(left, 'canceled', { at, reason: `its approval was ${event.decided}` });
}

/** V1. */
function fromEnded(state: Ended, event: CapabilityEvent): Step {
  const changed = event.type === 'capability_approval_decided' ? decided(state, event) : undefined;
  if (changed === undefined) return refuse(`it is ${state.status}`);
  const { granted: _, ...rest } = state;
  return { ok: true, session: { ...rest, ...common(changed) } };
}

function within(changed: Changed | undefined, keep: (changed: Changed) => Step, why: string): Step {
  return changed === undefined ? refuse(why) : keep(changed);
}

function lost(state: Open, event: CapabilityEvent & { type: 'capability_session_lost' }): Step {
  const { at, cause, then } = event;
  if (then === 'cancel')
    return ended(state, 'canceled', { at, cause, reason: 'ended when its connection was lost' });
  const { token: _, ...rest } = state;
  return {
    ok: true,
    session: {
      ...rest,
      inputs: [],
      status: 'reinitialize_required',
      cause,
      lostAt: at,
      lostInputs: state.inputs.map((one) => one.inputId),
    },
  };
}

function connected(
  state: Open,
  { instance, run, expiresAt }: CapabilityEvent & { type: 'capability_session_connected' },
): Step {
  if (state.planned === undefined) return refuse('it is connected already');
  return open({ ...state, subject: { ...state.subject, instance }, run, expiresAt, planned: undefined });
}

function fromOpen(state: Open, event: CapabilityEvent): Step {
  if (isEnding(event)) return ending(state, event);
  switch (event.type) {
    case 'capability_session_connected':
      return connected(state, event);
    case 'capability_input_requested':
      return open({
        ...state,
        run: event.run,
        inputs: [...state.inputs, event.input],
        expiresAt: event.input.openUntil,
      });
    case 'capability_input_closed': {
      const inputs = state.inputs.filter((one) => one.inputId !== event.inputId);
      if (inputs.length === state.inputs.length) return refuse('it waits for no such input');
      // Whoever was to come back for this input has nothing to come back for.
      return open({ ...state, inputs, expiresAt: event.expiresAt, token: undefined });
    }
    case 'capability_approval_awaited':
      return open(awaiting(state, event));
    case 'capability_approval_decided':
      return afterDecision(state, event);
    case 'capability_resume_offered':
      return open({ ...state, token: event.token });
    case 'capability_session_resumed':
      return within(withoutToken(state, event.digest, event.at), open, 'the token does not count');
    case 'capability_session_lost':
      return lost(state, event);
    case 'capability_session_reinitialized':
    case 'capability_session_opened':
      return refuse('it is open');
  }
}

function fromLost(state: Lost, event: CapabilityEvent): Step {
  if (isEnding(event)) return ending(state, event);
  const { cause } = state;
  const { lostAt, lostInputs, askedSince = [] } = state;
  const stays = (changed: Changed, asked = askedSince): Step => ({
    ok: true,
    session: {
      ...common(changed),
      ...{ status: 'reinitialize_required', cause, lostAt, lostInputs, askedSince: asked },
    },
  });
  switch (event.type) {
    case 'capability_session_reinitialized': // V2
      return ended(state, 'expired', {
        at: event.at,
        cause,
        reason: 'continued by another session',
        reinitializedAs: event.successor,
      });
    case 'capability_approval_awaited':
      return stays(awaiting(state, event), [...askedSince, event.approvalId]);
    case 'capability_approval_decided':
      return within(decided(state, event), stays, 'it waits for no such approval');
    case 'capability_resume_offered':
      return stays({ ...state, token: event.token });
    case 'capability_session_resumed':
      return within(withoutToken(state, event.digest, event.at), stays, 'the token does not count');
    case 'capability_session_lost':
      return refuse('it is lost already');
    case 'capability_session_connected':
    case 'capability_input_requested':
    case 'capability_input_closed':
      return refuse('its connection is gone');
    case 'capability_session_opened':
      return refuse('it was opened before');
  }
}

/** What the event makes of the session, or why it may not happen. */
export function transition(current: CapabilitySession | undefined, event: CapabilityEvent): Step {
  if (current === undefined) {
    if (event.type !== 'capability_session_opened') return refuse('there is no such session');
    const { subject, run, expiresAt, planned } = event;
    return open({ subject, run, expiresAt, inputs: [], approvals: [], approvalState: 'none', planned });
  }
  switch (current.status) {
    case 'in_progress':
    case 'waiting_for_input':
    case 'waiting_for_approval':
    case 'resumable':
      return fromOpen(current, event);
    case 'reinitialize_required':
      return fromLost(current, event);
    case 'completed':
    case 'failed':
    case 'canceled':
    case 'expired':
      return fromEnded(current, event);
  }
}
