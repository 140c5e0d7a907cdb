// Owns what is recorded of a run whose process has gone, so that lists tell the truth before anybody resumes it. Nothing
// of it runs: its calls and turns are judged by the run that resumes it.
import { RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import { endedRecord, stepCommit } from './commits.ts';
import type { Hold } from './hold.ts';
import { REASONS } from './next-step.ts';
import { actingCaller, loadManaged } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { takeStep } from './step.ts';

function isHeldBySomebody(thrown: unknown): boolean {
  return thrown instanceof RuntimeError && thrown.code === 'CONFLICT';
}

/** A session under way is held for as long as its run lives; one that can be taken has none. */
async function takeLeft(room: ManagedRoom, { held }: ManagedHeld): Promise<Hold | undefined> {
  try {
    return await room.holds.take(held.chain, () => Promise.resolve(true));
  } catch (thrown) {
    if (isHeldBySomebody(thrown)) return undefined;
    throw thrown;
  }
}

function invocationOf({ managed }: ManagedHeld): number | undefined {
  return managed.status === 'active' ? managed.invocation?.number : undefined;
}

const LEFT = { as: 'suspended', why: 'interrupted', reason: REASONS.interrupted } as const;

/** True when it was recorded as running; it is suspended now, or completed with its last turn. Throws NOT_FOUND. */
export async function recoverSession(room: ManagedRoom, caller: Caller, id: string): Promise<boolean> {
  const before = await loadManaged(room, caller, id);
  if (invocationOf(before) === undefined) return false;
  const hold = await takeLeft(room, before);
  if (hold === undefined) return false;
  try {
    const at = await loadManaged(room, caller, id);
    const number = invocationOf(at);
    if (number === undefined) return false;
    const record = endedRecord(number, at.state.status === 'closed' ? { as: 'completed' } : LEFT);
    const how = { when: { epoch: hold.epoch }, now: room.deps.clock.now() };
    const taken = await takeStep(room, at, stepCommit(at, actingCaller(caller, at.state), [record], how));
    return taken.ok;
  } finally {
    await hold.release();
  }
}
