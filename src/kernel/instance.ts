// Owns the sign of life of this process among those that share the store: a lease, renewed while it runs. A start receipt
// names its instance, so that another process can tell a running call from one whose process is gone.
import type { Clock } from '../base/clock.ts';
import type { Lease, Store } from '../store/contract.ts';

export interface Instance {
  readonly id: string;
  isAlive(instance: string): Promise<boolean>;
  stop(): Promise<void>;
}

export interface InstanceOptions {
  store: Store;
  clock: Clock;
  id: string;
  /** How long a silent process counts as alive, milliseconds. */
  leaseMs: number;
  /** Called after each renewal that went in, one at a time: the store takes writes. The next renewal does not wait for it. */
  renewed?: () => Promise<void>;
  /** Told what a renewal, or what was called after it, has thrown. */
  failed?: (thrown: unknown) => void;
}

function leaseKey(instance: string): string {
  return `instance/${instance}`;
}

/** Whether another process still gives signs of life; `asker` is a name of its own, never an instance's. */
export async function isInstanceAlive(
  { store, clock }: Pick<InstanceOptions, 'store' | 'clock'>,
  instance: string,
  asker: string,
): Promise<boolean> {
  // Probing claims the lease for nothing longer than the blink of a check; a dead process never asks for it back.
  const probe = await store.claim(leaseKey(instance), `probe:${asker}`, clock.now(), 0);
  return !probe.ok;
}

/** Begins `work`, unless it is still under way. */
function oneAtATime(work: (() => Promise<void>) | undefined, failed: (thrown: unknown) => void): () => void {
  let isUnderWay = false;
  return () => {
    if (work === undefined || isUnderWay) return;
    isUnderWay = true;
    work()
      .catch(failed)
      .finally(() => {
        isUnderWay = false;
      });
  };
}

/** Takes the lease and keeps renewing it at a third of its length until stopped. */
export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const { store, clock, id, leaseMs } = options;
  let lease: Lease | undefined;
  let cancel = (): void => undefined;
  let stopped = false;

  const renew = async (): Promise<boolean> => {
    const taken = await store.claim(leaseKey(id), id, clock.now(), leaseMs);
    if (taken.ok) lease = taken.lease;
    return taken.ok;
  };
  const failed = (thrown: unknown): void => {
    if (!stopped) options.failed?.(thrown);
  };
  const afterRenewal = oneAtATime(options.renewed, failed);
  const tick = (): void => {
    if (stopped) return;
    // A renewal that fails (disk full) is tried again at the next tick; others may then take us for gone, which is safe:
    // they only ever record `unknown`.
    renew()
      .then((isAlive) => {
        if (isAlive && !stopped) afterRenewal();
      })
      .catch(failed)
      .finally(() => {
        if (!stopped) cancel = clock.after(leaseMs / 3, tick);
      });
  };

  await renew();
  cancel = clock.after(leaseMs / 3, tick);
  return {
    id,
    isAlive: (other) => (other === id ? Promise.resolve(true) : isInstanceAlive(options, other, id)),
    async stop() {
      stopped = true;
      cancel();
      if (lease !== undefined) await store.release(lease);
    },
  };
}
