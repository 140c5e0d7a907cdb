// Owns the table of leases. The rule is in ../lease.ts; a released lease stays, or its epoch would start again.
import type { Lease } from '../contract.ts';
import { claimLease, releaseLease } from '../lease.ts';
import type { ClaimResult, LeaseClaim } from '../lease.ts';
import type { Connection } from './connection.ts';

export interface Leases {
  /** The epoch of the lease with this key; 0 when there was never one. */
  epoch(key: string): number;
  claim(claim: LeaseClaim): ClaimResult;
  release(lease: Lease): void;
}

export function createLeases(db: Connection): Leases {
  const find = db.prepare('SELECT key, owner, epoch, until FROM leases WHERE key = ?');
  const upsert = db.prepare(
    `INSERT INTO leases (key, owner, epoch, until) VALUES (?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, until = excluded.until`,
  );
  const held = (key: string): Lease | undefined => {
    const found = find.get([key]) as Lease | undefined;
    return found && { key: found.key, owner: found.owner, epoch: found.epoch, until: found.until };
  };
  const keep = (lease: Lease): void => void upsert.run([lease.key, lease.owner, lease.epoch, lease.until]);

  return {
    epoch: (key) => (find.get([key]) as Lease | undefined)?.epoch ?? 0,
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
  };
}
