// Owns the start of a session that runs at once: it is born held and begun, in one commit, and from there its run is that of
// any other (run.ts). What fails before that commit leaves nothing behind.
import type { Caller } from '../../kernel/identity.ts';
import { toldTo } from '../../store/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { admissionCommit } from './commits.ts';
import type { RunManaged } from './contract.ts';
import { createdMeanwhile, takeOver } from './create.ts';
import type { Birth } from './create.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { beginning, carryOn, runInvocation, runningOf, underHold } from './run.ts';
import type { Ran } from './run.ts';
import type { Run } from './run-step.ts';

/** Thrown inside of a hold that turns out to be of a session that is there already. */
class BornMeanwhile extends Error {}

async function bear(run: Run, birth: Birth): Promise<ManagedHeld | undefined> {
  const { room, hold, series } = run;
  const { facts, context } = birth;
  const record = beginning(run, 1);
  const begun = { record, instance: room.deps.instance, epoch: hold.epoch };
  const commit = admissionCommit({ ...birth, as: 'active', begun });
  const done = await room.deps.store.commit(toldTo(series, commit));
  if (!done.ok) throw new BornMeanwhile();
  const held = await takeOver(room, facts, {
    appends: commit.appends,
    heads: done.heads,
    shown: { runId: context.runId, runStatus: 'in_progress' },
  });
  const managed = held?.state.managed;
  const now = held && managed && { held, state: held.state, managed };
  return carryOn(run, { number: 1, now }, birth.input);
}

/** Starts the session and carries it on until it waits or ends. */
export async function startInvocation(
  room: ManagedRoom,
  caller: Caller,
  birth: Birth,
  given: { how: RunManaged; io: TurnIo },
): Promise<Ran> {
  const { id } = birth.facts;
  try {
    return await underHold(runningOf(room, caller, id, given), (run) => bear(run, birth));
  } catch (thrown) {
    if (!(thrown instanceof BornMeanwhile)) throw thrown;
  }
  await createdMeanwhile(room, caller, id);
  return runInvocation(room, caller, id, given);
}
