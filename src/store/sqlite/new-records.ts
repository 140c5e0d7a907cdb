// Owns the records of the transaction under way: taken over from each of its commits, written together at its end.
import type { NewRecord } from '../plan.ts';
import type { Connection, SqlValue } from './connection.ts';
import { forMany, repeated } from './many.ts';

export interface NewRecords {
  add(handle: number, records: readonly NewRecord[]): void;
  /** Writes what was taken over. */
  write(): void;
  /** Drops it: the transaction was undone. */
  drop(): void;
}

// A statement of each length up to this one is kept.
const MOST_AT_ONCE = 16;
const COLUMNS = 9;

export function createNewRecords(db: Connection): NewRecords {
  const insertOf = forMany(
    db,
    (count) =>
      `INSERT INTO records (cid, seq, tenant, type, header, hash, salt, evidence, sealed)
       VALUES ${repeated('(?, ?, ?, ?, ?, ?, ?, ?, ?)', count)}`,
  );
  let taken: SqlValue[] = []; // record after record
  return {
    add(handle, records) {
      for (const { chain, seq, type, header, hash, salt, evidence, sealed } of records) {
        taken.push(handle, seq, chain.tenant, type, header, hash, salt, evidence, sealed);
      }
    },
    write() {
      if (taken.length === 0) return;
      for (let from = 0; from < taken.length; from += MOST_AT_ONCE * COLUMNS) {
        const some = taken.slice(from, from + MOST_AT_ONCE * COLUMNS);
        insertOf(some.length / COLUMNS).run(some);
      }
      taken = [];
    },
    drop() {
      taken = [];
    },
  };
}
