// Owns one invocation of a managed session, the file to read first here:
// hold → fold → ask what is next → a call, a turn, or the end → fold again. A first run, a resume, a wake-up and the run
// after a crash are this one path; what a process knew and did not record is worth nothing.
//
// R1  Nothing is done before the start of the invocation is recorded, and a run that finds nothing to do records nothing.
// R2  Policy and all that it asks for are those of now, at every step (run-step.ts).
// R3  Only the holder goes on: a hold that is lost ends the run with CONFLICT, and another holder finds all it did.
// R4  The steps of a run are a series, answered before they are on disk. All of them are there when the hold is given back,
//     and nobody hears of any before.
import { Endable, whenEnded } from '../../base/abort.ts';
import type { Ending as Over, Until } from '../../base/abort.ts';
import { RuntimeError } from '../../base/errors.ts';
import { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import { toldTo } from '../../store/contract.ts';
import type { ChainKey } from '../../store/contract.ts';
import { nextInput } from '../loop/loop.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import { assertPrecheck } from '../turn/authorize.ts';
import type { TurnInput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { assertFits, parseAsked } from './ask.ts';
import type { Asked } from './ask.ts';
import { lookAt } from './call-step.ts';
import { loadCurrent } from './close.ts';
import { startedRecord, stepCommit } from './commits.ts';
import type { NewRecord } from './commits.ts';
import type { RunManaged } from './contract.ts';
import { runHeld, stop } from './hold.ts';
import { firstInput } from './inputs.ts';
import { nextStep } from './next-step.ts';
import type { View } from './next-step.ts';
import { endingOfState } from './result.ts';
import { actingCaller, assertNotOver, loadManaged } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { isOver } from './state.ts';
import type { Ending } from './state.ts';
import { take } from './run-step.ts';
import type { Run, Sight } from './run-step.ts';
import { takeStep } from './step.ts';

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

/**
 * R1: the session stands where it stood, and this run brings nothing. Messages are something: while a person is awaited they
 * are recorded, for the turn after the answer.
 */
function isIdle(run: Sight, at: ManagedHeld): boolean {
  const { messages, accepted } = run.asked;
  if (messages.length > 0) return false;
  const managed = { ...at.managed, accepted: [...at.managed.accepted, ...accepted] };
  const step = nextStep({ ...viewOf(run, at), managed });
  return step.do === 'end' && isSameEnding(step.ending, endingOfState(at.managed));
}

export interface Begun {
  number: number;
  /** The session after it, where it is known. */
  now: ManagedHeld | undefined;
}

/** The record that says who began the invocation, with what, and under which configuration. */
export function beginning(
  { room, asked, caller }: Pick<Run, 'room' | 'asked' | 'caller'>,
  number: number,
): NewRecord {
  const { config, instance } = room.deps;
  return startedRecord({
    number,
    reason: asked.reason,
    instance,
    askedBy: caller.actor,
    maxTurns: asked.maxTurns,
    messages: asked.messages,
    accepted: asked.accepted,
    configDigest: config.digest,
    policyDigest: config.policy.digest,
  });
}

/** Records the start (R1). Throws CONFLICT when another run took the step. */
async function begin(run: Run, at: ManagedHeld): Promise<Begun> {
  const { room, hold } = run;
  const number = at.managed.invocations + 1;
  const how = { when: { epoch: hold.epoch }, now: room.deps.clock.now() };
  const acting = actingCaller(run.caller, at.state);
  const commit = toldTo(run.series, stepCommit(at, acting, [beginning(run, number)], how));
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

/** From its recorded start to its end; the session after it, where it is known. */
export async function carryOn(run: Run, begun: Begun, first: TurnInput): Promise<ManagedHeld | undefined> {
  const input = nextInput(first, run.sessionId);
  const { number } = begun;
  for (let known = begun; ;) {
    const at = await look(run, known);
    if (isOver(at.managed)) return at;
    const { isOver: isDone, now } = await take(run, at, nextStep(viewOf(run, at)), { number, input });
    if (isDone) return now;
    known = { number, now };
  }
}

async function invocation(run: Run, at: ManagedHeld): Promise<ManagedHeld | undefined> {
  const first = await firstInput(run.room.deps.store, at.held, at.managed.facts.inputSeq);
  return carryOn(run, await begin(run, at), first);
}

async function standing(run: Run): Promise<ManagedHeld> {
  const at = await loadCurrent(run.room, run.caller, run.sessionId, run.series);
  assertNotOver(at); // it may have ended while this run waited for its turn
  return at;
}

async function heldRun(run: Run, first: RunManaged['first']): Promise<ManagedHeld | undefined> {
  let at = await standing(run);
  assertFits(run.asked, at.state);
  if (first !== undefined) {
    await first();
    at = await standing(run);
  }
  await seeWaiting(run, at);
  return isIdle(run, at) ? at : invocation(run, at);
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

/** Ends with either, whatever reason that one gives; `done` takes its listeners back. */
function endsWith(a: Until, b: Until): { over: Over; done: () => void } {
  const over = new Endable();
  const end = (): void => {
    over.end(stop());
  };
  const leave = [whenEnded(a, end), whenEnded(b, end)];
  return {
    over,
    done: () => {
      for (const leaveOne of leave) leaveOne();
    },
  };
}

/** How an invocation went. `now`: the session after it, where it is known. */
export interface Ran {
  hasMoved: boolean;
  now: ManagedHeld | undefined;
}

/** Who runs what, and how. */
export interface Running {
  room: ManagedRoom;
  caller: Caller;
  chain: ChainKey;
  asked: Asked;
  callerNow: RunManaged['callerNow'];
  io: TurnIo;
  series: Series;
}

/** Runs under the hold of the session. When it is over, all of the series is on disk and the hold is given back (R4). */
export async function underHold(
  { room, caller, chain, asked, callerNow = () => caller, io, series }: Running,
  work: (run: Run) => Promise<ManagedHeld | undefined>,
): Promise<Ran> {
  const sessionId = chain.id;
  const beat = async (): Promise<boolean> => {
    const { managed } = await loadManaged(room, caller, sessionId);
    return !isOver(managed);
  };
  const hold = await room.holds.take(chain, beat, series);
  const { over, done } = endsWith(io.signal, hold.over);
  let now: ManagedHeld | undefined;
  try {
    series.assertWhole();
    now = await work({ ...sightOf(room, asked, io), sessionId, caller, callerNow, hold, over, series });
  } catch (thrown) {
    series.assertWhole(); // what was undone is why it failed
    throw thrown;
  } finally {
    done();
    await hold.release();
  }
  await series.settled();
  return { hasMoved: true, now };
}

/** What is asked for, judged; nothing of it has begun. Throws INVALID_INPUT, and CANCELED where nobody waits for it any more. */
export function runningOf(
  room: ManagedRoom,
  caller: Caller,
  sessionId: string,
  { how, io }: { how: RunManaged; io: TurnIo },
): Running {
  const asked = parseAsked(how);
  if (io.signal.aborted) throw new RuntimeError('CANCELED');
  const chain = sessionChainOf(caller.tenant, sessionId);
  return { room, caller, chain, asked, callerNow: how.callerNow, io, series: new Series() };
}

/** The session, if it may be carried on now. Throws what a run of it would be refused with; runs and records nothing. */
export async function assertRuns(room: ManagedRoom, caller: Caller, sessionId: string): Promise<ManagedHeld> {
  const at = await loadCurrent(room, caller, sessionId);
  assertNotOver(at);
  assertPrecheck(room.deps.config, actingCaller(caller, at.state), at.state.facts.agentId);
  return at;
}

/** Carries the session on until it waits or ends; how it stands then is read from its state. */
export async function runInvocation(
  room: ManagedRoom,
  caller: Caller,
  sessionId: string,
  given: { how: RunManaged; io: TurnIo },
): Promise<Ran> {
  const running = runningOf(room, caller, sessionId, given);
  const before = await assertRuns(room, caller, sessionId);
  const { first } = given.how;
  if (first === undefined && (await isAtRest(sightOf(room, running.asked, running.io), before)))
    return { hasMoved: false, now: before };
  return underHold(running, (run) => heldRun(run, first));
}
