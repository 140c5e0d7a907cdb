// Owns what a background run is between its admission and its end: a union of states and the pure function that moves it.
//
// B1  Each admission leaves the queue once: whoever takes it moves its row at the version that was read.
// B2  Only an entry in the queue counts against the bound of the queue.
// B3  An ended entry stays ended.
import type { EpochMs } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { numberAt, textAt } from '../records.ts';

export type BackgroundKind = 'session' | 'workflow';

export type BackgroundEnd = 'completed' | 'failed' | 'canceled';

interface EntryEnd {
  how: BackgroundEnd;
  reason: string;
  /** The queue gave it up; its session has not ended, and goes on once somebody resumes it. */
  givenUp?: ErrorCode;
}

export type EntryState =
  /** asked: somebody resumed it, and no invocation has ended since. */
  | { at: 'queued'; asked: boolean }
  | { at: 'running'; instance: string; takes: number; asked: boolean }
  /** Nothing of it runs; it goes on when it is woken, at the latest at `until`. */
  | { at: 'parked'; why: 'approval' | 'time'; until: EpochMs; takes: number; asked: boolean }
  | ({ at: 'ended' } & EntryEnd);

export type EntryEvent =
  | { type: 'taken'; instance: string }
  /** isHeldUp: its invocation did not end; what was asked of it still is. */
  | { type: 'parked'; why: Extract<EntryState, { at: 'parked' }>['why']; until: EpochMs; isHeldUp?: true }
  | ({ type: 'ended' } & EntryEnd);

export interface Entry {
  id: string;
  tenant: string;
  principal: string;
  /** Whose work it is; absent in what an earlier version admitted. */
  agentId?: string;
  kind: BackgroundKind;
  ticket: number;
  admittedAt: EpochMs;
  /** Turns of each invocation that a worker makes of it; absent: as many as one has by default. */
  maxTurns?: number;
  state: EntryState;
}

/** What a list shows; the names of background work in the field. */
export type EntryStatus = 'queued' | 'in_progress' | BackgroundEnd;

/** Whether somebody wants it to go on with whatever it waits for, and not only with what came by itself. */
export function isAsked(state: EntryState): boolean {
  return state.at !== 'ended' && state.asked;
}

/** B3: undefined when the state does not take the event. */
export function moveEntry(state: EntryState, event: EntryEvent): EntryState | undefined {
  if (state.at === 'ended') return undefined;
  const takes = state.at === 'queued' ? 0 : state.takes;
  switch (event.type) {
    case 'taken':
      return { at: 'running', instance: event.instance, takes: takes + 1, asked: isAsked(state) };
    case 'parked': {
      if (state.at === 'queued') return undefined;
      const asked = event.isHeldUp === true && state.asked;
      return { at: 'parked', why: event.why, until: event.until, takes: 0, asked };
    }
    case 'ended': {
      const { type: _type, ...end } = event;
      return { at: 'ended', ...end };
    }
  }
}

export function entryStatus(state: EntryState): EntryStatus {
  switch (state.at) {
    case 'queued':
      return 'queued';
    case 'running':
    case 'parked':
      return 'in_progress';
    case 'ended':
      return state.how;
  }
}

function stateToJson(state: EntryState): JsonObject {
  if (state.at !== 'ended') return { ...state };
  const { givenUp, ...rest } = state;
  return { ...rest, ...(givenUp === undefined ? {} : { given_up: givenUp }) };
}

function stateFromJson(json: JsonObject): EntryState {
  const takes = numberAt(json, 'takes') ?? 0;
  switch (json.at) {
    case 'running':
      return { at: 'running', instance: textAt(json, 'instance') ?? '', takes, asked: json.asked !== false };
    case 'parked': {
      const why = json.why === 'time' ? 'time' : 'approval';
      const until = numberAt(json, 'until') ?? 0;
      return { at: 'parked', why, until, takes, asked: json.asked === true };
    }
    case 'ended': {
      const how = textAt(json, 'how');
      const known = how === 'completed' || how === 'canceled' ? how : 'failed';
      const givenUp = textAt(json, 'given_up') as ErrorCode | undefined;
      const more = givenUp === undefined ? {} : { givenUp };
      return { at: 'ended', how: known, reason: textAt(json, 'reason') ?? '', ...more };
    }
    default:
      return { at: 'queued', asked: json.asked !== false };
  }
}

export function entryToJson(entry: Entry): JsonObject {
  const { kind, ticket, admittedAt, agentId, maxTurns, state } = entry;
  const more = {
    ...(agentId === undefined ? {} : { agent_id: agentId }),
    ...(maxTurns === undefined ? {} : { max_turns: maxTurns }),
  };
  return { kind, ticket, admitted_at: admittedAt, ...more, state: stateToJson(state) };
}

export function entryFromJson(owner: Pick<Entry, 'id' | 'tenant' | 'principal'>, body: JsonObject): Entry {
  const { state } = body;
  const agentId = textAt(body, 'agent_id');
  const maxTurns = numberAt(body, 'max_turns');
  const isObject = typeof state === 'object' && state !== null && !Array.isArray(state);
  return {
    ...owner,
    kind: body.kind === 'workflow' ? 'workflow' : 'session',
    ticket: numberAt(body, 'ticket') ?? 0,
    admittedAt: numberAt(body, 'admitted_at') ?? 0,
    ...(agentId === undefined ? {} : { agentId }),
    ...(maxTurns === undefined ? {} : { maxTurns }),
    state: stateFromJson(isObject ? state : {}),
  };
}
