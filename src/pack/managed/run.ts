// Owns one invocation of a managed session, the file to read first here:
// hold → fold → ask what is next → a call, a turn, or the end → fold again. A first run, a resume, a wake-up and the run
// after a crash are this one path; what a process knew and did not record is worth nothing.
//
// R1  Nothing is done before the start of the invocation is recorded, and a run that finds nothing to do records nothing.
// R2  Policy, pre-check, roles, scopes and delegation are those of now, at every step: each call and turn passes its gate.
// R3  Only the holder goes on: a hold that is lost ends the run with CONFLICT, and another holder finds all it did.
// R4  The steps of a run are a series, answered before they are on disk. All of them are there when the hold is given back,
//     and nobody hears of any before.
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import { toldTo } from '../../store/contract.ts';
import type { LoopError } from '../loop/client-port.ts';
import { nextInput } from '../loop/loop.ts';
import { assertPrecheck } from '../turn/authorize.ts';
import type { TurnInput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { assertFits, assertMaySpeak, parseAsked } from './ask.ts';
import type { Asked } from './ask.ts';
import { callStep, lookAt } from './call-step.ts';
import { closeSession, loadCurrent } from './close.ts';
import { endedRecord, startedRecord, stepCommit, waitTimers } from './commits.ts';
import type { RunManaged } from './contract.ts';
import { runHeld } from './hold.ts';
import type { Hold } from './hold.ts';
import { firstInput } from './inputs.ts';
import { nextStep } from './next-step.ts';
import type { NextStep, Tried, View } from './next-step.ts';
import { endingOfState } from './result.ts';
import { actingCaller, assertNotOver, loadManaged } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { isOver } from './state.ts';
import type { Ending } from './state.ts';
import { takeStep } from './step.ts';

/** What it takes to see what is next. */
interface Sight {
  room: ManagedRoom;
  io: TurnIo;
  asked: Asked;
  tried: Map<string, Tried>;
  turnsLeft: number;
  failure: LoopError | undefined;
}

interface Run extends Sight {
  sessionId: string;
  caller: Caller;
  callerNow: () => Caller | undefined;
  hold: Hold;
  /** Ends with the caller's signal, with the hold, and with the session. */
  signal: AbortSignal;
  /** R4 */
  series: Series;
}

function viewOf(run: Sight, { state, managed }: ManagedHeld): View {
  return {
    session: state,
    managed,
    now: run.room.deps.clock.now(),
    turnsLeft: run.turnsLeft,
    tried: run.tried,
    ...(run.failure === undefined ? {} : { failure: run.failure }),
    isStopped: run.io.signal.aborted,
  };
}

/** Calls whose approval is still pending need no look of the door; asking for them again would change nothing. */
async function seeWaiting(run: Sight, { state }: ManagedHeld): Promise<void> {
  for (const call of state.calls) {
    if (call.state.at !== 'waiting') continue;
    const waiting = await lookAt(run.room, state.facts.tenant, call);
    if (waiting.at === 'pending') run.tried.set(call.id, { at: 'waiting', requestId: waiting.requestId });
  }
}

function isSameEnding(a: Ending, b: Ending | undefined): boolean {
  if (a.as === 'waiting_approval')
    return b?.as === a.as && a.requestId === b.requestId && a.callId === b.callId;
  return a.as === 'suspended' && b?.as === a.as && a.why === b.why && a.callId === b.callId;
}

/** R1: the session stands where it stood, and what this run brings does not change that. */
function isIdle(run: Sight, at: ManagedHeld): boolean {
  const { messages, accepted } = run.asked;
  const managed = { ...at.managed, accepted: [...at.managed.accepted, ...accepted] };
  const step = nextStep({ ...viewOf(run, at), managed });
  if (step.do !== 'end' || !isSameEnding(step.ending, endingOfState(at.managed))) return false;
  // While a person or an operator is awaited the model does not speak, so there is no turn that could take messages in.
  const isAwaited =
    step.ending.as === 'waiting_approval' ||
    (step.ending.as === 'suspended' && step.ending.callId !== undefined);
  return messages.length === 0 || isAwaited;
}

interface Begun {
  number: number;
  /** The session after it, where it is known. */
  now: ManagedHeld | undefined;
}

/** Records the start (R1). Throws CONFLICT when another run took the step. */
async function begin(run: Run, at: ManagedHeld): Promise<Begun> {
  const { room, asked, hold } = run;
  const { config, clock, instance } = room.deps;
  const number = at.managed.invocations + 1;
  const record = startedRecord({
    number,
    reason: asked.reason,
    instance,
    askedBy: run.caller.actor,
    maxTurns: asked.maxTurns,
    messages: asked.messages,
    accepted: asked.accepted,
    configDigest: config.digest,
    policyDigest: config.policy.digest,
  });
  const how = { when: { epoch: hold.epoch }, now: clock.now() };
  const commit = toldTo(run.series, stepCommit(at, actingCaller(run.caller, at.state), [record], how));
  commit.after = run.series;
  const taken = await takeStep(room, at, commit);
  if (!taken.ok) throw runHeld(run.sessionId, 'another run');
  return { number, now: taken.now };
}

/** The session as it is now. Throws CONFLICT when it is no longer this run's to carry on (R3). */
async function look(run: Run, { number, now }: Begun): Promise<ManagedHeld> {
  const at = now ?? (await loadManaged(run.room, run.caller, run.sessionId, run.series));
  if (isOver(at.managed)) return at;
  const { managed } = at;
  const isOurs = managed.status === 'active' && managed.invocation?.number === number;
  if (run.hold.isLost() || !isOurs) throw runHeld(run.sessionId, 'another run');
  return at;
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
    signal: run.signal,
    series: run.series,
  });
  if (!('error' in answer)) return;
  const { code, message, details } = answer.error;
  // Without a store there is nothing that could be recorded of it, and nothing that was acknowledged.
  if (code === 'STORE_UNAVAILABLE') throw new RuntimeError(code, message, details);
  run.failure = { code, message };
}

/** True when the invocation is over. */
async function take(
  run: Run,
  at: ManagedHeld,
  step: NextStep,
  around: { number: number; input: TurnInput },
): Promise<boolean> {
  const { room, hold, signal, series, io } = run;
  const now = run.callerNow();
  if (now === undefined && (step.do === 'turn' || step.do === 'call')) {
    run.failure = GONE;
    return false;
  }
  const acting = actingCaller(now ?? run.caller, at.state); // R2
  switch (step.do) {
    case 'turn':
      await turn(run, acting, at, around.input);
      return false;
    case 'call': {
      const call = at.state.calls.find((one) => one.id === step.callId);
      if (call === undefined) return false;
      const callIo = {
        progress: (one: Parameters<NonNullable<TurnIo['progress']>>[0]) => io.progress?.(one),
        signal,
        series,
      };
      const tried = await callStep(room, at, call, { acting, epoch: hold.epoch, io: callIo });
      if (tried !== undefined) run.tried.set(call.id, tried);
      return false;
    }
    case 'expire':
      await closeSession(room, run.caller, run.sessionId, {
        as: 'expired',
        reason: step.reason,
        askedBy: 'clock',
      });
      return true;
    case 'end': {
      const record = endedRecord(around.number, step.ending);
      const time = room.deps.clock.now();
      const ended = stepCommit(at, acting, [record], { when: { epoch: hold.epoch }, now: time });
      ended.timers = waitTimers(room.deps.config, at, { ending: step.ending, now: time });
      ended.after = series;
      const taken = await takeStep(room, at, toldTo(series, ended));
      return taken.ok; // refused: somebody moved the session; the next look says what it is now
    }
  }
}

async function invocation(run: Run, at: ManagedHeld): Promise<void> {
  const { facts } = at.managed;
  const first = await firstInput(run.room.deps.store, at.held, facts.inputSeq);
  const input = nextInput(first, run.sessionId);
  const begun = await begin(run, at);
  const { number } = begun;
  for (let known = begun; ; known = { number, now: undefined }) {
    const now = await look(run, known);
    if (isOver(now.managed)) return;
    const step = nextStep(viewOf(run, now));
    if (await take(run, now, step, { number, input })) return;
  }
}

async function heldRun(run: Run): Promise<void> {
  const at = await loadCurrent(run.room, run.caller, run.sessionId, run.series);
  assertNotOver(at); // it may have ended while this run waited for its turn
  assertFits(run.asked, at.state);
  await seeWaiting(run, at);
  if (!isIdle(run, at)) await invocation(run, at);
}

function sightOf(room: ManagedRoom, asked: Asked, io: TurnIo): Sight {
  return { room, io, asked, tried: new Map(), turnsLeft: asked.maxTurns, failure: undefined };
}

/** Whether there is nothing to go on with, so that nobody has to hold the session. Says no when in doubt. */
async function isAtRest(sight: Sight, at: ManagedHeld): Promise<boolean> {
  if (endingOfState(at.managed) === undefined) return false;
  assertFits(sight.asked, at.state);
  await seeWaiting(sight, at);
  return isIdle(sight, at);
}

/** One signal that ends with either; `done` frees the listeners. */
function joined(a: AbortSignal, b: AbortSignal): { signal: AbortSignal; done: () => void } {
  const controller = new AbortController();
  const end = (): void => {
    controller.abort();
  };
  for (const one of [a, b]) {
    if (one.aborted) end();
    else one.addEventListener('abort', end, { once: true });
  }
  return {
    signal: controller.signal,
    done: () => {
      a.removeEventListener('abort', end);
      b.removeEventListener('abort', end);
    },
  };
}

/**
 * Carries the session on until it waits or ends; how it stands then is read from its state. False: it stood still.
 * `born`: the series in which the session was just created.
 */
export async function runInvocation(
  room: ManagedRoom,
  caller: Caller,
  sessionId: string,
  { how, io, born }: { how: RunManaged; io: TurnIo; born?: Series | undefined },
): Promise<boolean> {
  const asked = parseAsked(how);
  if (io.signal.aborted) throw new RuntimeError('CANCELED');
  born?.assertWhole();
  const before = await loadCurrent(room, caller, sessionId, born);
  assertNotOver(before);
  assertPrecheck(room.deps.config, actingCaller(caller, before.state));
  if (await isAtRest(sightOf(room, asked, io), before)) return false;
  const series = born ?? new Series();
  const beat = async (): Promise<boolean> => {
    const { managed } = await loadManaged(room, caller, sessionId);
    return !isOver(managed);
  };
  const hold = await room.holds.take(before.held.chain, beat, series);
  const { signal, done } = joined(io.signal, hold.signal);
  try {
    series.assertWhole();
    const { callerNow = () => caller } = how;
    await heldRun({ ...sightOf(room, asked, io), sessionId, caller, callerNow, hold, signal, series });
  } finally {
    done();
    await hold.release();
  }
  await series.settled();
  return true;
}
