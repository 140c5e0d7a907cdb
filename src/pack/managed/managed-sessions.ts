// Owns the face of managed sessions: create, run, cancel, status, continuations, each for a proven caller, and the
// readable copies that are made beside them, off the path of the answer.
import { RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { PackDeps } from '../deps.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { closeSession, loadCurrent } from './close.ts';
import type { ManagedResult, ManagedSessions } from './contract.ts';
import { copyDocument } from './copy.ts';
import { createManaged } from './create.ts';
import { createHolds } from './hold.ts';
import { firstInput } from './inputs.ts';
import { progressOf, resultOf } from './result.ts';
import { loadManaged, statusOf } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { recoverSession } from './recover.ts';
import { runInvocation } from './run.ts';
import { createTranscripts } from './transcript.ts';

export interface ManagedPack extends ManagedSessions {
  /** Makes the readable copy of a session anew from its journal; NOT_FOUND for a foreign one. */
  rebuildSnapshot(caller: Caller, sessionId: string): Promise<void>;
  /** How the session's last invocation ended, from its records; undefined while none has. Runs nothing. */
  result(caller: Caller, sessionId: string): Promise<ManagedResult | undefined>;
  /**
   * Suspends a session that is recorded as running and that no run holds, because its process has gone. False: it is
   * not so.
   */
  recover(caller: Caller, sessionId: string): Promise<boolean>;
  /** Drops what is held of a session after its payloads were erased. */
  forget(tenant: string, sessionId: string): void;
  /** Resolves when every copy that was begun is written or has failed. */
  settled(): Promise<void>;
}

async function answer(room: ManagedRoom, at: ManagedHeld): Promise<ManagedResult> {
  const transcript = await room.transcripts.read(at.held);
  const result = resultOf(at, transcript, await progressOf(room, at, transcript));
  if (result !== undefined) return result;
  // Another run took over between this run's end and its answer.
  throw new RuntimeError('CONFLICT', 'Another run holds this session.', {
    reason: 'run_held',
    session_id: at.state.facts.id,
  });
}

async function writeCopy(room: ManagedRoom, caller: Caller, sessionId: string): Promise<void> {
  const { copies, store, kernel } = room.deps;
  const at = await loadManaged(room, caller, sessionId);
  if (copies === undefined) return;
  const transcript = await room.transcripts.read(at.held);
  const progress = await progressOf(room, at, transcript);
  const input = await firstInput(store, at.held, at.managed.facts.inputSeq).catch(() => undefined);
  const result = resultOf(at, transcript, progress);
  await copies.write(sessionId, copyDocument(kernel, { progress, result, transcript, input }));
}

function assertAllowed(isAllowed: boolean, what: string, key: string): void {
  if (isAllowed) return;
  throw new RuntimeError('POLICY_DENIED', `The configuration does not allow to ${what} a run.`, {
    rule_id: 'run_precheck',
    field: key,
  });
}

interface Copyist {
  copyLater(caller: Caller, sessionId: string): void;
  settled(): Promise<void>;
}

/** Copies one after the other, each from the state of its time: an older copy never replaces a newer one. */
function copyist(write: (caller: Caller, sessionId: string) => Promise<void>): Copyist {
  let copying: Promise<void> = Promise.resolve();
  const waiting = new Set<string>();
  return {
    copyLater(caller, sessionId) {
      if (waiting.has(sessionId)) return; // the one that waits will show this too
      waiting.add(sessionId);
      copying = copying
        .then(() => {
          waiting.delete(sessionId);
          return write(caller, sessionId);
        })
        .catch(() => undefined);
    },
    settled: () => copying,
  };
}

function wasClosedByTurn({ state, managed }: ManagedHeld): boolean {
  return state.status === 'closed' && managed.status === 'active';
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
  const copies = copyist((caller, id) => writeCopy(room, caller, id));
  return {
    async create(caller, input) {
      const created = await createManaged(room, caller, input);
      copies.copyLater(caller, created.session_id);
      return created;
    },
    async run(caller, sessionId, how, io) {
      const isResumed = how.reason === undefined || how.reason === 'resumed';
      if (isResumed)
        assertAllowed(deps.config.controls.resumeAllowed, 'resume', 'runtime_controls.resume_allowed');
      await runInvocation(room, caller, sessionId, { how, io });
      const result = await answer(room, await loadManaged(room, caller, sessionId));
      copies.copyLater(caller, sessionId);
      return result;
    },
    async cancel(caller, sessionId, reason) {
      assertAllowed(deps.config.runtime.background.allowCancel, 'cancel', 'runtime.background.allow_cancel');
      const at = await closeSession(room, caller, sessionId, {
        as: 'canceled',
        reason,
        askedBy: caller.actor,
      });
      copies.copyLater(caller, sessionId);
      return { status: wasClosedByTurn(at) ? 'completed' : statusOf(at) };
    },
    status: async (caller, sessionId) => statusOf(await loadCurrent(room, caller, sessionId)),
    async continuations(caller, sessionId) {
      const { held } = await loadManaged(room, caller, sessionId);
      return [...(await room.transcripts.read(held)).continuations];
    },
    async result(caller, sessionId) {
      const at = await loadCurrent(room, caller, sessionId);
      const transcript = await room.transcripts.read(at.held);
      return resultOf(at, transcript, await progressOf(room, at, transcript));
    },
    async recover(caller, sessionId) {
      const isRecovered = await recoverSession(room, caller, sessionId);
      if (isRecovered) copies.copyLater(caller, sessionId);
      return isRecovered;
    },
    rebuildSnapshot: (caller, sessionId) => writeCopy(room, caller, sessionId),
    forget(tenant, sessionId) {
      room.transcripts.forget(sessionChainOf(tenant, sessionId));
    },
    settled: () => copies.settled(),
  };
}
