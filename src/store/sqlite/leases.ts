// Owns the table of leases. The rule is in ../lease.ts; a released lease stays, or its epoch would start again. It is used
// inside transactions only, and what it has read or taken is known until it is told to forget. What is taken or given back
// goes to the redo log; what is pending there stands before what the table says.
import type { Lease } from '../contract.ts';
import { claimLease, releaseLease } from '../lease.ts';
import type { ClaimResult, LeaseClaim } from '../lease.ts';
import type { Connection } from './connection.ts';

export interface Leases {
  /** The epoch of the lease with this key; 0 when there was never one. */
  epoch(key: string): number;
  claim(claim: LeaseClaim): ClaimResult;
  release(lease: Lease): void;
  /** Writes a lease as it is now. */
  write(lease: Lease): void;
  /** To be called when others may have written, and when a transaction was undone. */
  forget(): void;
}

// Beyond this what is known is dropped; what is used again comes back with one look-up.
const MOST_KNOWN = 1024;

/** Where a lease lies until the table has it. */
interface PendingLeases {
  lease(key: string): Lease | undefined;
  addLease(lease: Lease): void;
}

export function createLeases(db: Connection, pending: PendingLeases): Leases {
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
    const found = pending.lease(key) ?? (find.get([key]) as Lease | undefined);
    return know(key, found && { key: found.key, owner: found.owner, epoch: found.epoch, until: found.until });
  };
  const keep = (lease: Lease): void => {
    pending.addLease(lease);
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
    write: ({ key, owner, epoch, until }) => void upsert.run([key, owner, epoch, until]),
    forget: () => {
      known.clear();
    },
  };
}
