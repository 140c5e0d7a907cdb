// Owns the rule by which a lease is taken, renewed, refused and given back. Engines only store the result.
import type { EpochMs } from '../base/clock.ts';
import type { Lease } from './contract.ts';

export interface LeaseClaim {
  key: string;
  owner: string;
  now: EpochMs;
  ms: number;
}

export type ClaimResult = { ok: true; lease: Lease } | { ok: false; holder: Lease };

// An engine never forgets the lease of a key, or the epoch would start again; after a release its owner is ''.

/** The epoch rises whenever the lease passes on, also to the same owner after a release; a renewal keeps it. */
export function claimLease(held: Lease | undefined, claim: LeaseClaim): ClaimResult {
  const { key, owner, now } = claim;
  const until = now + claim.ms;
  if (held?.owner === owner) return { ok: true, lease: { key, owner, epoch: held.epoch, until } };
  if (held !== undefined && held.owner !== '' && held.until > now) return { ok: false, holder: held };
  return { ok: true, lease: { key, owner, epoch: (held?.epoch ?? 0) + 1, until } };
}

/** What is remembered after a release; a release by anyone but the present holder changes nothing. */
export function releaseLease(held: Lease | undefined, lease: Lease): Lease | undefined {
  if (held?.owner !== lease.owner || held.epoch !== lease.epoch) return held;
  return { ...held, owner: '', until: 0 };
}
