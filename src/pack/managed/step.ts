// Owns the taking of a managed step: its commit, and the session as it is after it, which is known without a read where
// nobody else wrote in between.
import type { Commit } from '../../store/contract.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';

export type Taken =
  /** `now` is undefined when it has to be loaded. */
  | { ok: true; now: ManagedHeld | undefined }
  /** Somebody else took a step first; nothing has changed. */
  | { ok: false };

export async function takeStep(
  room: ManagedRoom,
  { held }: Pick<ManagedHeld, 'held'>,
  commit: Commit,
): Promise<Taken> {
  const done = await room.deps.store.commit(commit);
  if (!done.ok) return { ok: false };
  const next = await room.sessions.advance({
    chain: held.chain,
    held,
    appends: commit.appends ?? [],
    heads: done.heads,
    said: [],
    shown: undefined,
  });
  const managed = next?.state.managed;
  return { ok: true, now: next && managed && { held: next, state: next.state, managed } };
}
