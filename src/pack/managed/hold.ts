// Owns the hold of one run on its session: a lease on the session's chain, renewed while the run goes on, given back when
// it ends, and taken over from a process that is gone.
//
// H1  At most one run holds a session. Whoever comes second gets CONFLICT with `reason: run_held` and who holds it.
// H2  A hold that is lost ends the run; what it would still write is fenced by the epoch of the next one.
// H3  Every run has a holder name of its own, so that two runs of one process exclude each other too.
import { Endable } from '../../base/abort.ts';
import type { Ending } from '../../base/abort.ts';
import { RuntimeError } from '../../base/errors.ts';
import { chainLeaseKey } from '../../store/contract.ts';
import type { ChainKey, Lease } from '../../store/contract.ts';
import type { Series } from '../../base/series.ts';
import type { PackDeps } from '../deps.ts';

/** How long a silent run counts as alive while its process does. */
export const HOLD_MS = 30_000;

export interface Hold {
  readonly epoch: number;
  /** Ends when the hold is lost (H2), or by `end`. */
  readonly over: Ending;
  isLost(): boolean;
  /** Ends `over` without giving the hold back: the session was canceled. */
  end(): void;
  release(): Promise<void>;
}

export function runHeld(sessionId: string, holder: string): RuntimeError {
  return new RuntimeError('CONFLICT', 'Another run holds this session.', {
    reason: 'run_held',
    session_id: sessionId,
    holder,
  });
}

/** As a signal's own: whoever is stopped by it tells an end from a failure by its name. */
export function stop(): DOMException {
  return new DOMException('The run was stopped.', 'AbortError');
}

function instanceOf(owner: string): string {
  return owner.split('/')[0] ?? '';
}

async function take(
  deps: PackDeps,
  key: string,
  owner: string,
  { ours, series }: { ours: ReadonlySet<string>; series: Series | undefined },
): Promise<Lease | string> {
  const { store, clock, instance } = deps;
  const first = await store.claim(key, owner, clock.now(), HOLD_MS, series);
  if (first.ok) return first.lease;
  const { holder } = first;
  const other = instanceOf(holder.owner);
  const isAlive = other === instance ? ours.has(holder.owner) : await deps.isAlive(other);
  if (isAlive) return other;
  // Only the very lease that was judged is taken away: a third one that was faster keeps its own.
  await store.release(holder);
  const second = await store.claim(key, owner, clock.now(), HOLD_MS);
  return second.ok ? second.lease : instanceOf(second.holder.owner);
}

function keep(deps: PackDeps, lease: Lease, beat: () => Promise<boolean>): Hold {
  const { store, clock } = deps;
  const over = new Endable();
  let until = lease.until;
  let isLost = false;
  let isOver = false;
  let cancel = (): void => undefined;

  const lose = (): void => {
    isLost = true;
    over.end(stop());
  };
  const renew = async (): Promise<void> => {
    const now = clock.now();
    const again = await store.claim(lease.key, lease.owner, now, HOLD_MS);
    if (!again.ok || again.lease.epoch !== lease.epoch) {
      lose();
      return;
    }
    ({ until } = again.lease);
    if (!(await beat())) over.end(stop());
  };
  const arm = (): void => {
    cancel = clock.after(HOLD_MS / 3, () => {
      renew()
        .catch(() => {
          // A store that is silent may come back; a lease that has run out does not.
          if (clock.now() >= until) lose();
        })
        .finally(() => {
          if (!isOver && !over.aborted) arm();
        });
    });
  };
  arm();
  return {
    epoch: lease.epoch,
    over,
    isLost: () => isLost,
    end: () => {
      over.end(stop());
    },
    async release() {
      isOver = true;
      cancel();
      // A hold that cannot be given back is found dead with its process, or runs out.
      await store.release(lease).catch(() => undefined);
    },
  };
}

export interface Holds {
  /** Throws CONFLICT (H1). `beat` is asked at each renewal whether the run may go on. `series`: the steps that it guards. */
  take(chain: ChainKey, beat: () => Promise<boolean>, series?: Series): Promise<Hold>;
  /** Ends the run of this session in this process, if there is one. */
  end(chain: ChainKey): void;
}

export function createHolds(deps: PackDeps): Holds {
  const ours = new Set<string>();
  const held = new Map<string, Hold>();
  return {
    async take(chain, beat, series) {
      const key = chainLeaseKey(chain);
      const owner = `${deps.instance}/${Buffer.from(deps.ids.bytes(9)).toString('base64url')}`;
      ours.add(owner);
      try {
        const taken = await take(deps, key, owner, { ours, series });
        if (typeof taken === 'string') throw runHeld(chain.id, taken);
        const hold = keep(deps, taken, beat);
        held.set(key, hold);
        return {
          ...hold,
          async release() {
            held.delete(key);
            ours.delete(owner);
            await hold.release();
          },
        };
      } catch (thrown) {
        ours.delete(owner);
        throw thrown;
      }
    },
    end(chain) {
      held.get(chainLeaseKey(chain))?.end();
    },
  };
}
