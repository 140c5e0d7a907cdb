// Owns one step of a managed run: a turn, a call, the end of the invocation or of the session. It records what the step
// came to; what is next is asked elsewhere (run.ts).
//
// R2 (run.ts)  Policy, pre-check, roles, scopes and delegation are those of now: each call and turn passes its gate.
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import type { Ending as Over } from '../../base/abort.ts';
import type { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import { toldTo } from '../../store/contract.ts';
import type { TimerWrite } from '../../store/contract.ts';
import type { LoopError } from '../loop/client-port.ts';
import type { TurnInput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { assertMaySpeak } from './ask.ts';
import type { Asked } from './ask.ts';
import { callStep } from './call-step.ts';
import { closeSession } from './close.ts';
import { endedRecord, stepCommit, waitTimers } from './commits.ts';
import type { RunManaged } from './contract.ts';
import type { Hold } from './hold.ts';
import type { NextStep, Tried } from './next-step.ts';
import { actingCaller } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import type { Ending } from './state.ts';
import { takeStep } from './step.ts';

/** What it takes to see what is next. */
export interface Sight {
  room: ManagedRoom;
  io: TurnIo;
  asked: Asked;
  tried: Map<string, Tried>;
  turnsLeft: number;
  failure: LoopError | undefined;
}

export interface Run extends Sight {
  sessionId: string;
  caller: Caller;
  callerNow: NonNullable<RunManaged['callerNow']>;
  hold: Hold;
  /** Ends with the caller's signal, with the hold, and with the session. */
  over: Over;
  /** R4 */
  series: Series;
}

const GONE: LoopError = {
  code: 'POLICY_DENIED',
  message: 'Nobody is known any more for whom this run could act.',
};

/** Why the model may not be asked for this caller any more; undefined: it may. */
async function silenced(run: Run, acting: Caller, at: ManagedHeld): Promise<LoopError | undefined> {
  try {
    await assertMaySpeak(run.room.deps, acting, at.state);
    return undefined;
  } catch (thrown) {
    const { code, message } = asRuntimeError(thrown);
    if (code !== 'POLICY_DENIED') throw thrown;
    return { code, message };
  }
}

async function turn(run: Run, acting: Caller, at: ManagedHeld, input: TurnInput): Promise<void> {
  run.turnsLeft -= 1;
  run.failure = await silenced(run, acting, at);
  if (run.failure !== undefined) return;
  const answer = await run.room.executeTurn(acting, input, {
    ...run.io,
    signal: run.over.signal,
    series: run.series,
  });
  if (!('error' in answer)) return;
  const { code, message, details } = answer.error;
  // Without a store there is nothing that could be recorded of it, and nothing that was acknowledged.
  if (code === 'STORE_UNAVAILABLE') throw new RuntimeError(code, message, details);
  run.failure = { code, message };
}

/** What a step came to. `now`: the session after it, where it is known. */
export interface Went {
  isOver: boolean;
  now: ManagedHeld | undefined;
}

const ON: Went = { isOver: false, now: undefined };

/** A person has as long as they have had the question, however often somebody speaks to the session meanwhile. */
async function timersOf({ room }: Run, at: ManagedHeld, ending: Ending): Promise<TimerWrite[]> {
  if (ending.as !== 'waiting_approval') return [];
  const { config, kernel, clock } = room.deps;
  const approval = await kernel.approvalFor(at.state.facts.tenant, ending.requestId);
  return waitTimers(config, at, approval?.subject.requestedAt ?? clock.now());
}

async function end(run: Run, at: ManagedHeld, number: number, ending: Ending): Promise<Went> {
  const { room, hold, series, caller } = run;
  const now = room.deps.clock.now();
  const how = { when: { epoch: hold.epoch }, now };
  const acting = actingCaller(run.callerNow() ?? caller, at.state);
  const ended = stepCommit(at, acting, [endedRecord(number, ending)], how);
  ended.timers = await timersOf(run, at, ending);
  ended.after = series;
  const taken = await takeStep(room, at, toldTo(series, ended));
  // Refused: somebody moved the session; the next look says what it is now.
  return taken.ok ? { isOver: true, now: taken.now } : ON;
}

async function call(run: Run, acting: Caller, at: ManagedHeld, callId: string): Promise<Went> {
  const { room, hold, over, series, io } = run;
  const requested = at.state.calls.find((one) => one.id === callId);
  if (requested === undefined) return ON;
  const callIo = {
    progress: (one: Parameters<NonNullable<TurnIo['progress']>>[0]) => io.progress?.(one),
    signal: over.signal,
    series,
  };
  const { tried, now } = await callStep(room, at, requested, { acting, epoch: hold.epoch, io: callIo });
  if (tried !== undefined) run.tried.set(callId, tried);
  return { isOver: false, now };
}

/** Takes the step that is next. */
export async function take(
  run: Run,
  at: ManagedHeld,
  step: NextStep,
  around: { number: number; input: TurnInput },
): Promise<Went> {
  const { room, caller, sessionId } = run;
  const now = run.callerNow();
  if (now === undefined && (step.do === 'turn' || step.do === 'call')) {
    run.failure = GONE;
    return ON;
  }
  const acting = actingCaller(now ?? caller, at.state); // R2
  switch (step.do) {
    case 'turn':
      await turn(run, acting, at, around.input);
      return ON;
    case 'call':
      return call(run, acting, at, step.callId);
    case 'expire': {
      const close = { as: 'expired', reason: step.reason, askedBy: 'clock' } as const;
      return { isOver: true, now: await closeSession(room, caller, sessionId, close) };
    }
    case 'end':
      return end(run, at, around.number, step.ending);
  }
}
