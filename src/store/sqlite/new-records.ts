// Owns the records of the transaction under way: taken over from each of its commits, written together at its end.
import type { NewRecord } from '../plan.ts';
import type { Connection, SqlValue, Statement } from './connection.ts';

export interface NewRecords {
  add(handle: number, records: readonly NewRecord[]): void;
  /** Writes what was taken over. */
  write(): void;
  /** Drops it: the transaction was undone. */
  drop(): void;
}

// A statement of each length up to this one is kept.
const MOST_AT_ONCE = 16;

export function createNewRecords(db: Connection): NewRecords {
  const insertOf = (count: number): Statement =>
    db.prepare(
      `INSERT INTO records (cid, seq, tenant, type, header, hash, salt, evidence, sealed)
       VALUES ${Array(count).fill('(?, ?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`,
    );
  let taken: SqlValue[][] = [];
  return {
    add(handle, records) {
      for (const { chain, seq, type, header, hash, salt, evidence, sealed } of records) {
        taken.push([handle, seq, chain.tenant, type, header, hash, salt, evidence, sealed]);
      }
    },
    write() {
      for (let from = 0; from < taken.length; from += MOST_AT_ONCE) {
        const some = taken.slice(from, from + MOST_AT_ONCE);
        insertOf(some.length).run(some.flat());
      }
      taken = [];
    },
    drop() {
      taken = [];
    },
  };
}
