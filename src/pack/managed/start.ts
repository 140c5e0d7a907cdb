// Owns the start of a session that runs at once: it is born held and begun, in one commit, and from there its run is that of
// any other (run.ts). What fails before that commit leaves nothing behind.
import { RuntimeError } from '../../base/errors.ts';
import { Series } from '../../base/series.ts';
import type { Caller } from '../../kernel/identity.ts';
import { toldTo } from '../../store/contract.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { parseAsked } from './ask.ts';
import { admissionCommit } from './commits.ts';
import type { RunManaged } from './contract.ts';
import { createdMeanwhile } from './create.ts';
import type { Birth } from './create.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { beginning, carryOn, runInvocation, underHold } from './run.ts';
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
  const { appends = [] } = commit;
  const done = await room.deps.store.commit(toldTo(series, commit));
  if (!done.ok) throw new BornMeanwhile();
  const chain = sessionChainOf(facts.tenant, facts.id);
  const shown = { runId: context.runId, runStatus: 'in_progress' } as const;
  const from = { chain, held: undefined, appends, heads: done.heads, said: [], shown };
  const held = await room.sessions.advance(from);
  const managed = held?.state.managed;
  const now = held && managed && { held, state: held.state, managed };
  return carryOn(run, { number: 1, now }, birth.input);
}

/** Starts the session and carries it on until it waits or ends. */
export async function startInvocation(
  room: ManagedRoom,
  caller: Caller,
  birth: Birth,
  { how, io }: { how: RunManaged; io: TurnIo },
): Promise<Ran> {
  const asked = parseAsked(how);
  if (io.signal.aborted) throw new RuntimeError('CANCELED');
  const chain = sessionChainOf(birth.facts.tenant, birth.facts.id);
  const running = { room, caller, chain, asked, callerNow: how.callerNow, io, series: new Series() };
  try {
    return await underHold(running, (run) => bear(run, birth));
  } catch (thrown) {
    if (!(thrown instanceof BornMeanwhile)) throw thrown;
  }
  await createdMeanwhile(room, caller, birth.facts.id);
  return runInvocation(room, caller, birth.facts.id, { how, io });
}
