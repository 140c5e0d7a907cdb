// Owns what a session is between turns: a union of states and the one pure function that moves it. Storage and caching
// are sessions.ts; what was said is conversation.ts.
//
// S1  A state is a fold of the session's own records and nothing else; it is bounded, whatever the session's length.
// S2  Counters only grow, and only by records: no caller can name them.
// S3  A session that is closed stays closed.
// S4  A requested call is `requested` until a record says otherwise; what the model has been told of it is `told`.
import type { EpochMs } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Delegation } from '../../kernel/identity.ts';
import { applyManaged } from '../managed/state.ts';
import type { ManagedEvent, ManagedState } from '../managed/state.ts';

/** Fixed when the session is minted. */
export interface SessionFacts {
  id: string;
  kind: 'agent' | 'default';
  tenant: string;
  principal: string;
  actor: string;
  agentId: string;
  lane: string;
  task: string;
  intent?: string;
  limits: { turns: number; toolCalls: number; inputBytes: number };
  delegation: Delegation;
  startedAt: EpochMs;
  /** Of a default session that follows another one: the first of their line. */
  line?: string;
}

export type CallState =
  | { at: 'requested' }
  /** By the turn that requested it. */
  | { at: 'refused'; code?: ErrorCode; endsRun?: true }
  | { at: 'running'; seq: number }
  | { at: 'waiting'; seq: number; approvalId: string }
  /** endsRun: what denied it, or how it failed, ends the run instead of being told to the model. */
  | { at: 'denied'; seq: number; endsRun?: true }
  /** unknown: whether it took effect is not known. */
  | { at: 'finished'; seq: number; unknown?: true; endsRun?: true }
  | { at: 'replayed'; seq: number }
  /** It can never run: its approval lapsed, or the kernel refused it without a record of its own. */
  | { at: 'settled'; seq: number; unknown?: true }
  | { at: 'closed'; by: 'host' | 'nobody' };

export interface RequestedCall {
  id: string;
  tool: string;
  /** Where the exact arguments lie: position in the sealed calls of this record. */
  turnSeq: number;
  index: number;
  turnIndex: number;
  /** Calls of the session that had begun when it was requested. */
  callsBefore: number;
  runId: string;
  traceId: string;
  intent?: string;
  state: CallState;
  /** interim: the model heard that it waits or was refused before; the last word is still to be said. */
  told: 'nothing' | 'interim' | 'outcome';
}

export interface Run {
  runId: string;
  traceId: string;
  /** Turns in a row that asked for tools, without a word from the model's user. */
  hops: number;
}

export interface OpenTurn {
  turnIndex: number;
  runId: string;
  traceId: string;
  instance: string;
  /** Nobody can still be calling the provider after this. */
  deadlineAt: EpochMs;
}

interface Common {
  facts: SessionFacts;
  seq: number;
  turnCount: number;
  callCount: number;
  run: Run | undefined;
  /** The run that ended last, while there is no other. */
  lastRun?: { runId: string; traceId: string };
  openTurn: OpenTurn | undefined;
  /** Something was said that no completed turn has shown to the model. */
  unseen: boolean;
  calls: RequestedCall[];
  /** Present in a session that is run by the runtime instead of turn by turn by a host. */
  managed?: ManagedState;
}

export type SessionState =
  | { status: 'absent'; seq: number }
  | (Common & { status: 'open' })
  | (Common & { status: 'escalated'; itemId: string })
  | (Common & { status: 'closed'; closedAt: EpochMs; finalStatus: string });

export type LiveState = Exclude<SessionState, { status: 'absent' }>;

interface At {
  seq: number;
  at: EpochMs;
}

export type SessionEvent = At &
  (
    | { type: 'session_started'; facts: SessionFacts }
    | {
        type: 'turn_started';
        turn: OpenTurn;
        isNewRun: boolean;
        hasUserMessage: boolean;
        told: { callId: string; as: 'interim' | 'outcome'; closedBy?: 'host' | 'nobody' }[];
      }
    | {
        type: 'turn_completed';
        status: 'reply' | 'tool_request' | 'complete' | 'escalate';
        turnIndex: number;
        calls: Pick<RequestedCall, 'id' | 'tool' | 'intent' | 'runId' | 'traceId' | 'state'>[];
      }
    | { type: 'turn_failed'; turnIndex: number | undefined }
    /** endedRun: what refused the turn ended this run. turnIndex: with it a turn's place was taken. */
    | { type: 'turn_refused'; endedRun: string | undefined; turnIndex: number | undefined }
    | { type: 'session_closed'; finalStatus: string }
    | { type: 'item_opened'; itemId: string }
    | { type: 'call_started'; callId: string }
    | { type: 'call_finished'; callId: string; unknown?: true; endsRun?: true }
    | { type: 'call_replayed'; callId: string }
    | { type: 'call_denied'; callId: string; endsRun?: true }
    | { type: 'call_waiting'; callId: string; approvalId: string }
    | { type: 'call_settled'; callId: string; unknown?: true }
    /** `run`: the run that begins with it. `closed`: calls that can no longer run. */
    | {
        type: 'managed';
        event: ManagedEvent;
        run?: { runId: string; traceId: string };
        closed: readonly string[];
      }
    /** A record of another type, or one whose payload was erased; it moves the position only. */
    | { type: 'passed' }
  );

// Enough for every call that a host can sensibly come back to; older ones are answered from their request rows.
const KEPT_CALLS = 64;

export const ABSENT: SessionState = { status: 'absent', seq: 0 };

/** A copy for the caller to change: who holds a state keeps it as it was. */
function moved(state: LiveState, { seq }: At): LiveState {
  const next = { ...state };
  next.seq = seq;
  return next;
}

function trimmed(calls: RequestedCall[]): RequestedCall[] {
  let surplus = calls.length - KEPT_CALLS;
  return surplus <= 0 ? calls : calls.filter((call) => call.told !== 'outcome' || surplus-- <= 0);
}

function moveCall(state: LiveState, callId: string, next: CallState): RequestedCall[] {
  return state.calls.map((call) =>
    call.id === callId
      ? { ...call, state: next, told: call.told === 'nothing' ? ('nothing' as const) : ('interim' as const) }
      : call,
  );
}

function tell(state: LiveState, event: Extract<SessionEvent, { type: 'turn_started' }>): RequestedCall[] {
  if (event.told.length === 0) return state.calls;
  const told = new Map(event.told.map((one) => [one.callId, one]));
  return state.calls.map((call): RequestedCall => {
    const now = told.get(call.id);
    if (now === undefined) return call;
    return now.closedBy === undefined
      ? { ...call, told: now.as }
      : { ...call, told: now.as, state: { at: 'closed', by: now.closedBy } };
  });
}

function beginTurn(state: LiveState, event: Extract<SessionEvent, { type: 'turn_started' }>): LiveState {
  const { turn } = event;
  const hops = event.isNewRun || event.hasUserMessage ? 0 : (state.run?.hops ?? 0);
  const byHost = event.told.filter((one) => one.closedBy === 'host').length;
  const next = moved(state, event);
  next.turnCount = turn.turnIndex + 1;
  next.callCount += byHost;
  next.run = { runId: turn.runId, traceId: turn.traceId, hops };
  next.openTurn = turn;
  next.unseen = true;
  next.calls = tell(state, event);
  moveManaged(next, { type: 'turn_started' });
  return reopened(next);
}

function moveManaged(next: LiveState, event: ManagedEvent): void {
  const managed = applyManaged(next.managed, event);
  if (managed !== undefined) next.managed = managed;
}

function reopened(next: LiveState): LiveState {
  // A turn after an escalation is the conversation going on.
  return next.status === 'escalated' ? { ...withoutItem(next), status: 'open' } : next;
}

function withoutItem(state: Extract<SessionState, { status: 'escalated' }>): Common {
  const { itemId: _itemId, status: _status, ...common } = state;
  return common;
}

function completeTurn(state: LiveState, event: Extract<SessionEvent, { type: 'turn_completed' }>): LiveState {
  const asked = event.calls.map((call, index): RequestedCall => ({
    turnSeq: event.seq,
    index,
    turnIndex: event.turnIndex,
    callsBefore: state.callCount,
    told: 'nothing',
    ...call,
  }));
  const isRunOver = event.status !== 'tool_request';
  const ended = isRunOver ? state.run : undefined;
  const next = moved(state, event);
  next.openTurn = undefined;
  next.unseen = false;
  next.run = isRunOver || state.run === undefined ? undefined : { ...state.run, hops: state.run.hops + 1 };
  if (asked.length > 0) next.calls = [...state.calls, ...asked];
  next.calls = trimmed(next.calls);
  if (ended !== undefined) next.lastRun = { runId: ended.runId, traceId: ended.traceId };
  return next;
}

type CallEvent = Extract<SessionEvent, { callId: string }>;

function callStateOf(event: CallEvent): CallState {
  switch (event.type) {
    case 'call_started':
      return { at: 'running', seq: event.seq };
    case 'call_finished':
      return { at: 'finished', seq: event.seq, ...unknownMark(event), ...endMark(event) };
    case 'call_replayed':
      return { at: 'replayed', seq: event.seq };
    case 'call_denied':
      return { at: 'denied', seq: event.seq, ...endMark(event) };
    case 'call_waiting':
      return { at: 'waiting', seq: event.seq, approvalId: event.approvalId };
    case 'call_settled':
      return { at: 'settled', seq: event.seq, ...unknownMark(event) };
  }
}

function unknownMark(event: { unknown?: true }): { unknown?: true } {
  return event.unknown === true ? { unknown: true } : {};
}

function endMark(event: { endsRun?: true }): { endsRun?: true } {
  return event.endsRun === true ? { endsRun: true } : {};
}

function close(state: LiveState, event: Extract<SessionEvent, { type: 'session_closed' }>): LiveState {
  const { status: _status, ...common } = state;
  return { ...common, seq: event.seq, status: 'closed', closedAt: event.at, finalStatus: event.finalStatus };
}

function applyCall(state: LiveState, event: CallEvent): LiveState {
  const next = moved(state, event);
  if (event.type === 'call_started') next.callCount += 1;
  next.calls = moveCall(state, event.callId, callStateOf(event));
  return next;
}

function applyManagedEvent(state: LiveState, event: Extract<SessionEvent, { type: 'managed' }>): LiveState {
  const closed = new Set(event.closed);
  const next = moved(state, event);
  moveManaged(next, event.event);
  if (event.run !== undefined && state.run === undefined) next.run = { ...event.run, hops: 0 };
  next.calls = state.calls.map((call) =>
    closed.has(call.id) ? { ...call, state: { at: 'closed', by: 'nobody' } } : call,
  );
  return next;
}

function failTurn(state: LiveState, event: Extract<SessionEvent, { type: 'turn_failed' }>): LiveState {
  const next = moved(state, event);
  if (event.turnIndex === state.openTurn?.turnIndex) next.openTurn = undefined;
  return next;
}

function endRun(state: LiveState, event: Extract<SessionEvent, { type: 'turn_refused' }>): LiveState {
  const next = moved(state, event);
  if (event.turnIndex !== undefined) next.turnCount = event.turnIndex + 1;
  if (state.run === undefined || state.run.runId !== event.endedRun) return next;
  next.run = undefined;
  next.lastRun = { runId: state.run.runId, traceId: state.run.traceId };
  return next;
}

function applyLive(state: LiveState, event: SessionEvent): LiveState {
  if ('callId' in event) return applyCall(state, event);
  switch (event.type) {
    case 'session_started': // once only; a second one would be a forged or damaged record
    case 'passed':
      return moved(state, event);
    case 'turn_started':
      return beginTurn(state, event);
    case 'turn_completed':
      return completeTurn(state, event);
    case 'turn_failed':
      return failTurn(state, event);
    case 'turn_refused':
      return endRun(state, event);
    case 'session_closed':
      return close(state, event);
    case 'managed':
      return applyManagedEvent(state, event);
    case 'item_opened':
      return state.status === 'closed'
        ? moved(state, event)
        : { ...state, seq: event.seq, status: 'escalated', itemId: event.itemId };
  }
}

function begin(facts: SessionFacts, seq: number): LiveState {
  return {
    status: 'open',
    facts,
    seq,
    turnCount: 0,
    callCount: 0,
    run: undefined,
    openTurn: undefined,
    unseen: false,
    calls: [],
  };
}

/** S1: the state after one more record. Total; never throws. */
export function apply(state: SessionState, event: SessionEvent): SessionState {
  if (state.status === 'absent') {
    return event.type === 'session_started'
      ? begin(event.facts, event.seq)
      : { status: 'absent', seq: event.seq };
  }
  return applyLive(state, event);
}

/** What of a call the model has not been told yet: nothing, that it waits, or how it ended. */
export function owed(call: RequestedCall): 'nothing' | 'interim' | 'outcome' {
  switch (call.state.at) {
    case 'waiting':
    case 'running':
      return call.told === 'nothing' ? 'interim' : 'nothing';
    case 'requested':
      return call.told === 'nothing' ? 'outcome' : 'nothing';
    case 'refused':
    case 'denied':
    case 'finished':
    case 'replayed':
    case 'settled':
    case 'closed':
      return call.told === 'outcome' ? 'nothing' : 'outcome';
  }
}
