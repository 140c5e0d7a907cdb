// Owns the loop that carries out what is due: background runs, wake times, and runs whose worker died. Timers decide when
// to try; the lease of the run decides who carries it out, so trying twice is harmless.
import { isoTime } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { asRuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Store, Timer } from '../../store/contract.ts';
import { textAt } from '../records.ts';
import { isAsked } from './entry.ts';
import type { BackgroundKind, Entry, EntryEvent } from './entry.ts';
import type { FoundEntry, Queue } from './queue.ts';

/** How far one invocation of a run came. */
export type Advanced = Extract<EntryEvent, { type: 'parked' | 'ended' }>;

export interface BackgroundRun {
  tenant: string;
  principal: string;
  id: string;
  kind: BackgroundKind;
  maxTurns?: number;
  /** Somebody resumed it since it last waited; else it goes on only with what nobody has to resume. */
  asked: boolean;
}

export interface WaitingSession {
  tenant: string;
  principal: string;
  id: string;
  of: { workflowId: string; nodeId: string } | undefined;
}

export interface Runs {
  /** Carries a run on until it waits or ends; one that somebody else holds is left to them, and looked at again. */
  advance(run: BackgroundRun, signal: AbortSignal): Promise<Advanced>;
  /** How a run that waits for people is parked; undefined once one of them has answered. Runs and records nothing. */
  stillWaits(run: BackgroundRun): Promise<Extract<EntryEvent, { type: 'parked' }> | undefined>;
  /** Time has passed for a session that waits: it ends if it has waited too long, and the workflow that it is of hears of it. */
  look(session: WaitingSession, signal: AbortSignal): Promise<'done' | 'unknown_principal'>;
  /** A wake time came. */
  wake(timer: { tenant: string; payload: JsonObject }, signal: AbortSignal): Promise<Seen>;
}

/**
 * What a timer came to. `done`: it means nothing any more. `later`: whether it stands is not the worker's to say.
 * `unknown_principal`: nothing was done, since nobody here knows whose it is.
 */
export type Seen = 'done' | 'later' | 'unknown_principal';

export interface WorkerDeps {
  store: Store;
  clock: Clock;
  queue: Queue;
  runs: Runs;
  instance: string;
  /** Whose work it carries out; that of another agent waits for a worker of that one. */
  agentId: string;
  isAlive: (instance: string) => Promise<boolean>;
  maxRunning: number;
  /** Milliseconds between two looks at the timers; default 500. */
  pollMs?: number;
  log?: (level: 'info' | 'warn', message: string, facts: Record<string, unknown>) => void;
}

export interface Worker {
  /** Takes what is due now; resolves to how many timers were taken. The work itself goes on beside it. */
  tick(): Promise<number>;
  /** Resolves when nothing that was taken is under way. */
  settled(): Promise<void>;
  /** Takes nothing more, ends what is under way, and waits for it. */
  stop(): Promise<void>;
}

// A taken timer comes again after this, when whoever took it has died; also while that one is at it, and then is left.
const TAKEN_MS = 15_000;
// One whose principal this worker does not know comes again, for a worker that does or a configuration that does by then;
// the longer it has waited the more seldom, because there may be many of them, for ever.
const SOONEST_AGAIN_MS = TAKEN_MS;
const LATEST_AGAIN_MS = 3_600_000;
// A run that brought its worker down this often would do so for ever.
const MOST_TAKES = 10;

interface Room extends WorkerDeps {
  underWay: Map<string, Promise<void>>;
  ending: AbortController;
}

function runOf({ tenant, principal, id, kind, maxTurns, state }: Entry): BackgroundRun {
  const bound = maxTurns === undefined ? {} : { maxTurns };
  return { tenant, principal, id, kind, asked: isAsked(state), ...bound };
}

function waitsForPeople({ state }: Entry): boolean {
  return state.at === 'parked' && state.why === 'approval';
}

const EXHAUSTED: Advanced = {
  ...{ type: 'ended', how: 'failed', givenUp: 'INTERNAL' },
  reason: `It was taken ${MOST_TAKES} times, and no worker came to the end of an invocation.`,
};

/** Nobody asks a worker: what it gives up is said where an operator reads, and to whoever looks at the run. */
function leave({ log }: Room, entry: Entry | undefined): void {
  if (entry?.state.at !== 'ended' || entry.state.givenUp === undefined) return;
  const { givenUp: code, reason } = entry.state;
  log?.('warn', 'a background run was given up; resume it when the cause is gone', {
    session_id: entry.id,
    code,
    reason,
  });
}

/** Somebody moved it meanwhile: as it stands now, for the timer of an admission that came while we were at it is used up. */
async function runAsItIs(room: Room, { tenant, id, version }: FoundEntry): Promise<void> {
  const now = await room.queue.find(tenant, id);
  if (now !== undefined && now.state.at !== 'ended' && now.version !== version) await runEntry(room, now);
}

async function runEntry(room: Room, entry: FoundEntry): Promise<void> {
  const { queue, runs, instance, isAlive } = room;
  const { state } = entry;
  const run = runOf(entry);
  // A long run outlives the time its timer was taken for; its worker is still at it.
  if (state.at === 'running' && state.instance !== instance && (await isAlive(state.instance))) return;
  const waits = waitsForPeople(entry) ? await runs.stillWaits(run) : undefined;
  const taken = await queue.move(entry, waits ?? { type: 'taken', instance });
  if (taken === undefined) return runAsItIs(room, entry);
  if (taken.state.at !== 'running') return;
  if (taken.state.takes > MOST_TAKES) {
    leave(room, await queue.move(taken, EXHAUSTED));
    return;
  }
  const left = await queue.move(taken, await runs.advance(runOf(taken), room.ending.signal));
  if (left === undefined) return runAsItIs(room, taken);
  leave(room, left);
  // An answer between the run's end and its parking found nothing parked that it could wake.
  if (waitsForPeople(left) && (await runs.stillWaits(run)) === undefined) {
    await queue.nudge(entry.tenant, entry.id);
  }
}

function waitingSession({ tenant, payload }: Timer, id: string): WaitingSession {
  const [workflowId, nodeId] = [textAt(payload, 'workflow_id'), textAt(payload, 'node_id')];
  const of = workflowId === undefined || nodeId === undefined ? undefined : { workflowId, nodeId };
  return { tenant, id, principal: textAt(payload, 'principal') ?? '', of };
}

/** A timer of an earlier version does not say whose it is. */
async function isOurs({ store, agentId }: Room, { tenant, payload }: Timer, id: string): Promise<boolean> {
  if (textAt(payload, 'agent_id') !== undefined) return true; // none of another agent was taken
  const row = await store.row('session', tenant, id);
  return (textAt(row?.body ?? {}, 'agent_id') ?? agentId) === agentId;
}

async function carryOut(room: Room, timer: Timer): Promise<void> {
  const { store, queue, runs } = room;
  const { tenant, id, payload } = timer;
  const sessionId = textAt(payload, 'session_id') ?? '';
  if (!(await isOurs(room, timer, sessionId))) return;
  if (payload.do === 'run') {
    const entry = await queue.find(tenant, sessionId);
    if (entry === undefined || entry.state.at === 'ended')
      await store.commit({ cancelTimers: [{ tenant, id }] });
    else await runEntry(room, entry);
    return;
  }
  const { signal } = room.ending;
  const seen = await (payload.do === 'look'
    ? runs.look(waitingSession(timer, sessionId), signal)
    : runs.wake({ tenant, payload }, signal));
  if (seen === 'done') await store.commit({ cancelTimers: [{ tenant, id }] });
  if (seen === 'unknown_principal') await putOff(room, timer);
}

/** For who has taken it: one that is set anew in the same moment is put off with it. */
async function putOff({ store, clock, log }: Room, { tenant, id, dueAt, payload }: Timer): Promise<void> {
  const now = clock.now();
  const { put_off_since: since = dueAt } = payload;
  const waited = typeof since === 'number' ? now - since : 0;
  const next = now + Math.min(Math.max(waited / 4, SOONEST_AGAIN_MS), LATEST_AGAIN_MS);
  log?.('warn', 'the configuration does not know the principal of work that is due; it was put off', {
    session_id: textAt(payload, 'session_id'),
    until: isoTime(next),
  });
  const again = { ...payload, put_off_since: since };
  await store.commit({ timers: [{ tenant, id, dueAt: next, payload: again }] });
}

function begin(room: Room, timer: Timer): void {
  const key = `${encodeURIComponent(timer.tenant)}/${timer.id}`;
  if (room.underWay.has(key)) return; // its own timer came again; it is still at it
  const work = carryOut(room, timer)
    .catch((thrown: unknown) => {
      // The timer comes again: a held run is left to its holder, anything else is tried anew.
      const { code, message } = asRuntimeError(thrown);
      room.log?.(code === 'CONFLICT' ? 'info' : 'warn', 'background work was not carried out', {
        code,
        message,
      });
    })
    .finally(() => room.underWay.delete(key));
  room.underWay.set(key, work);
}

async function takeDue(room: Room): Promise<number> {
  const free = room.maxRunning - room.underWay.size;
  if (free <= 0 || room.ending.signal.aborted) return 0;
  const { store, clock, instance, agentId } = room;
  const due = await store.claimTimers(instance, clock.now(), TAKEN_MS, free, agentId);
  for (const timer of due) begin(room, timer);
  return due.length;
}

async function settle(room: Room): Promise<void> {
  while (room.underWay.size > 0) await Promise.all(room.underWay.values());
}

/** A worker that takes nothing by itself: `tick` does. */
export function createWorker(deps: WorkerDeps): Worker {
  const room: Room = { ...deps, underWay: new Map(), ending: new AbortController() };
  return {
    tick: () => takeDue(room),
    settled: () => settle(room),
    async stop() {
      room.ending.abort();
      await settle(room);
    },
  };
}

/** A worker that looks at the timers every `pollMs` until it is stopped. */
export function startWorker(deps: WorkerDeps): Worker {
  const worker = createWorker(deps);
  const { clock, pollMs = 500 } = deps;
  let cancel = (): void => undefined;
  let looking = Promise.resolve();
  const look = async (): Promise<void> => {
    try {
      while ((await worker.tick()) > 0);
    } catch (thrown) {
      const { code, message } = asRuntimeError(thrown);
      deps.log?.('warn', 'the timers could not be read', { code, message });
    }
    cancel = clock.after(pollMs, next);
  };
  const next = (): void => {
    looking = look();
  };
  next();
  return {
    ...worker,
    async stop() {
      await looking;
      cancel();
      await worker.stop();
    },
  };
}
