// Owns the face of managed sessions: create, run, cancel, status, continuations, each for a proven caller, and the
// readable copies that are made beside them, off the path of the answer.
import { RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { PackDeps } from '../deps.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { assertMayCancel, assertMayResume } from './allowed.ts';
import { assertFits, parseAsked } from './ask.ts';
import { closeSession, loadCurrent } from './close.ts';
import type {
  ManagedProgress,
  ManagedResult,
  ManagedSessions,
  RunManaged,
  StartManaged,
} from './contract.ts';
import { copyDocument } from './copy.ts';
import { createCopyist } from './copyist.ts';
import type { Copyist } from './copyist.ts';
import { birthOf, createManaged } from './create.ts';
import { closeHosted, isHosted } from './hosted.ts';
import { createHolds } from './hold.ts';
import { progressOf, resultOf } from './result.ts';
import { loadManaged, statusOf } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { recoverSession } from './recover.ts';
import { assertRuns, runInvocation } from './run.ts';
import type { Ran } from './run.ts';
import { startInvocation } from './start.ts';
import { createTranscripts } from './transcript.ts';
import type { Transcript } from './transcript.ts';

export interface ManagedPack extends ManagedSessions {
  /** Makes the readable copy of a session anew from its journal; NOT_FOUND for a foreign one. */
  rebuildSnapshot(caller: Caller, sessionId: string): Promise<void>;
  /** Throws what a resume would be refused with, for as long as nobody else holds the session. Runs nothing. */
  assertResumes(caller: Caller, sessionId: string, how: Pick<RunManaged, 'maxTurns'>): Promise<void>;
  /** How the session's last invocation ended, from its records; undefined while none has. Runs nothing. */
  result(caller: Caller, sessionId: string): Promise<ManagedResult | undefined>;
  /** The same sessions as a workflow has them: whether it may be resumed and canceled is asked of the workflow. */
  readonly nodes: NodeSide;
  /**
   * Suspends a session that is recorded as running and that no run holds, because its process has gone. False: it is
   * not so.
   */
  recover(caller: Caller, sessionId: string): Promise<boolean>;
  /** Resolves when every copy that was begun is written or has failed. */
  settled(): Promise<void>;
}

interface NodeSide extends Pick<ManagedPack, 'create' | 'run' | 'cancel' | 'result'> {
  /** Throws INVALID_INPUT for what a run of the session would refuse, and NOT_FOUND. Runs and records nothing. */
  assertTakes(caller: Caller, sessionId: string, how: RunManaged): Promise<void>;
}

/** The session as it is told: what it answers, and the transcript that its copy shows beside it. */
interface Shown {
  progress: ManagedProgress;
  result: ManagedResult | undefined;
  transcript: Transcript;
}

async function shown(room: ManagedRoom, at: ManagedHeld): Promise<Shown> {
  const transcript = await room.transcripts.read(at.held);
  const progress = await progressOf(room, at, transcript);
  return { progress, result: resultOf(at, transcript, progress), transcript };
}

function answered({ progress, result }: Shown): ManagedResult {
  if (result !== undefined) return result;
  // Another run took over between this run's end and its answer.
  throw new RuntimeError('CONFLICT', 'Another run holds this session.', {
    reason: 'run_held',
    session_id: progress.session_id,
  });
}

async function writeCopy(room: ManagedRoom, caller: Caller, sessionId: string): Promise<void> {
  const { copies, kernel } = room.deps;
  const told = await shown(room, await loadManaged(room, caller, sessionId));
  await copies?.write(sessionId, copyDocument(kernel, told));
}

interface Telling {
  room: ManagedRoom;
  copies: Copyist;
  caller: Caller;
}

async function runAndTell(
  { room, copies, caller }: Telling,
  sessionId: string,
  run: () => Promise<Ran>,
): Promise<ManagedResult> {
  const { hasMoved, now } = await copies.during(sessionId, run);
  const told = await shown(room, now ?? (await loadManaged(room, caller, sessionId)));
  if (hasMoved) copies.copyLater(caller, sessionId);
  return answered(told);
}

async function startAndTell(
  telling: Telling,
  input: StartManaged,
  how: RunManaged,
  io: TurnIo,
): Promise<ManagedResult> {
  const { room, caller, copies } = telling;
  const begun = { how: { ...how, reason: 'created' as const }, io };
  const birth = await birthOf(room, caller, input);
  const isThere = 'session_id' in birth;
  const id = isThere ? birth.session_id : birth.facts.id;
  const run = (): Promise<Ran> =>
    isThere ? runInvocation(room, caller, id, begun) : startInvocation(room, caller, birth, begun);
  try {
    return await runAndTell(telling, id, run);
  } catch (thrown) {
    copies.copyLater(caller, id); // of what stands, if anything does
    throw thrown;
  }
}

function wasClosedByTurn({ state, managed }: ManagedHeld): boolean {
  return state.status === 'closed' && managed.status === 'active';
}

function nodeSide(room: ManagedRoom, copies: Copyist): NodeSide {
  return {
    async create(caller, input) {
      const created = await createManaged(room, caller, input);
      copies.copyLater(caller, created.session_id);
      return created;
    },
    run: (caller, sessionId, how, io) =>
      runAndTell({ room, copies, caller }, sessionId, () =>
        runInvocation(room, caller, sessionId, { how, io }),
      ),
    async cancel(caller, sessionId, reason) {
      const close = { as: 'canceled', reason, askedBy: caller.actor } as const;
      const at = await closeSession(room, caller, sessionId, close);
      copies.copyLater(caller, sessionId);
      return { status: wasClosedByTurn(at) ? 'completed' : statusOf(at) };
    },
    async assertTakes(caller, sessionId, how) {
      assertFits(parseAsked(how), (await loadManaged(room, caller, sessionId)).state);
    },
    async result(caller, sessionId) {
      return (await shown(room, await loadCurrent(room, caller, sessionId))).result;
    },
  };
}

/** Managed sessions over the pack's own sessions and turns. */
export function createManagedSessions(parts: {
  deps: PackDeps;
  sessions: Sessions;
  executeTurn: ManagedRoom['executeTurn'];
}): ManagedPack {
  const { deps } = parts;
  const room: ManagedRoom = {
    ...parts,
    holds: createHolds(deps),
    transcripts: createTranscripts(deps.store),
  };
  const copies = createCopyist(deps.clock, (...of) => writeCopy(room, ...of));
  const nodes = nodeSide(room, copies);
  return {
    ...nodes,
    nodes,
    start: (caller, ...what) => startAndTell({ room, copies, caller }, ...what),
    async run(caller, sessionId, how, io) {
      if ((how.reason ?? 'resumed') === 'resumed') assertMayResume(deps.config);
      return nodes.run(caller, sessionId, how, io);
    },
    async assertResumes(caller, sessionId, how) {
      assertMayResume(deps.config);
      parseAsked(how);
      await assertRuns(room, caller, sessionId);
    },
    async cancel(caller, sessionId, reason) {
      assertMayCancel(deps.config);
      if (!(await isHosted(room, caller, sessionId))) return nodes.cancel(caller, sessionId, reason);
      const close = { as: 'canceled', reason, askedBy: caller.actor } as const;
      return { status: await closeHosted(room, caller, sessionId, close) };
    },
    status: async (caller, sessionId) => statusOf(await loadCurrent(room, caller, sessionId)),
    async continuations(caller, sessionId) {
      const { held } = await loadManaged(room, caller, sessionId);
      return [...(await room.transcripts.read(held)).continuations];
    },
    async recover(caller, sessionId) {
      const isRecovered = await recoverSession(room, caller, sessionId);
      if (isRecovered) copies.copyLater(caller, sessionId);
      return isRecovered;
    },
    rebuildSnapshot: (caller, sessionId) => writeCopy(room, caller, sessionId),
    settled: () => copies.settled(),
  };
}
