// Owns the table of leases. The rule is in ../lease.ts; a released lease stays, or its epoch would start again. It is used
// inside transactions only, and what it has read or written is known until it is told to forget.
import type { Lease } from '../contract.ts';
import { claimLease, releaseLease } from '../lease.ts';
import type { ClaimResult, LeaseClaim } from '../lease.ts';
import type { Connection } from './connection.ts';

export interface Leases {
  /** The epoch of the lease with this key; 0 when there was never one. */
  epoch(key: string): number;
  claim(claim: LeaseClaim): ClaimResult;
  release(lease: Lease): void;
  /** To be called when others may have written, and when a transaction was undone. */
  forget(): void;
}

// Beyond this what is known is dropped; what is used again comes back with one look-up.
const MOST_KNOWN = 1024;

export function createLeases(db: Connection): Leases {
  const find = db.prepare('SELECT key, owner, epoch, until FROM leases WHERE key = ?');
  const upsert = db.prepare(
    `INSERT INTO leases (key, owner, epoch, until) VALUES (?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, until = excluded.until`,
  );
  /** undefined: there is none. */
  const known = new Map<string, Lease | undefined>();
  const know = (key: string, lease: Lease | undefined): Lease | undefined => {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, lease);
    return lease;
  };
  const held = (key: string): Lease | undefined => {
    const lease = known.get(key);
    if (lease !== undefined || known.has(key)) return lease;
    const found = find.get([key]) as Lease | undefined;
    return know(key, found && { key: found.key, owner: found.owner, epoch: found.epoch, until: found.until });
  };
  const keep = (lease: Lease): void => {
    upsert.run([lease.key, lease.owner, lease.epoch, lease.until]);
    know(lease.key, lease);
  };

  return {
    epoch: (key) => held(key)?.epoch ?? 0,
    claim(claim) {
      const result = claimLease(held(claim.key), claim);
      if (result.ok) keep(result.lease);
      return result;
    },
    release(lease) {
      const before = held(lease.key);
      const after = releaseLease(before, lease);
      if (after !== undefined && after !== before) keep(after);
    },
    forget: () => {
      known.clear();
    },
  };
}
