// Owns the set of tables behind one connection, and the two jobs that touch several of them: a commit and an erasure.
// Both run inside the writer's transaction.
import type { Clock } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import { chainLeaseKey } from '../contract.ts';
import type { ChainKey, Commit, CommitResult } from '../contract.ts';
import type { DamageLog } from '../damage.ts';
import { erasureRecords, LASTING_TYPES } from '../erasure.ts';
import type { Erasure } from '../erasure.ts';
import { planCommit, resultOf } from '../plan.ts';
import type { View } from '../plan.ts';
import type { SealingTools } from '../sealing.ts';
import { retirementCommit } from '../segment.ts';
import type { Retirement } from '../segment.ts';
import { createBlobs } from './blobs.ts';
import type { Blobs } from './blobs.ts';
import { createChains } from './chains.ts';
import type { Chains } from './chains.ts';
import type { Connection } from './connection.ts';
import { createCounters } from './counters.ts';
import type { Counters } from './counters.ts';
import { createLeases } from './leases.ts';
import type { Leases } from './leases.ts';
import { createNewRecords } from './new-records.ts';
import type { NewRecords } from './new-records.ts';
import { createRecords } from './records.ts';
import type { Records } from './records.ts';
import { createRedo } from './redo.ts';
import type { Redo } from './redo.ts';
import { createRemembered } from './remembered.ts';
import type { Remembered } from './remembered.ts';
import { createRows } from './rows.ts';
import type { Rows } from './rows.ts';
import { createSnapshots } from './snapshots.ts';
import type { Snapshots } from './snapshots.ts';
import { createTimers } from './timers.ts';
import type { Timers } from './timers.ts';

export interface Tables {
  chains: Chains;
  newRecords: NewRecords;
  records: Records;
  rows: Rows;
  counters: Counters;
  leases: Leases;
  timers: Timers;
  blobs: Blobs;
  snapshots: Snapshots;
  redo: Redo;
  remembered: Remembered;
  /**
   * Writes what the commits of the transaction under way have only handed over so far. To be called at its end, and before
   * anything else in it touches records or the redo log.
   */
  write(): void;
  /** To be called when the transaction was undone. */
  undone(): void;
}

export function createTables(
  db: Connection,
  path: string,
  tools: SealingTools & { damage: DamageLog; clock: Clock },
): Tables {
  const rows = createRows(db);
  const counters = createCounters(db);
  const redo: Redo = createRedo(db, () => ({ rows, counters, chains, leases, remembered }));
  const leases = createLeases(db, redo);
  const chains = createChains(db, (handle) => redo.end(handle));
  const view: View = {
    chainEnd: (chain) => chains.end(chain),
    leaseEpoch: (chain) => leases.epoch(chainLeaseKey(chain)),
    counter: (key) => counters.value(key),
    rowVersion: (kind, tenant, id) => rows.version(kind, tenant, id),
  };
  const newRecords = createNewRecords(db);
  const remembered: Remembered = createRemembered(db, { view, redo, rows, counters, leases });
  return {
    chains,
    newRecords,
    records: createRecords({ db, chains, damage: tools.damage }),
    rows,
    counters,
    leases,
    redo,
    remembered,
    write() {
      newRecords.write();
      redo.write();
    },
    undone() {
      newRecords.drop();
      redo.drop();
      remembered.undone();
    },
    timers: createTimers(db),
    blobs: createBlobs(db, path, tools),
    snapshots: createSnapshots(db, chains, tools),
  };
}

/** The job of a commit: plan, then write; a refusal writes nothing (S1, S6). */
export function createCommitJob(tables: Tables, tools: SealingTools): (commit: Commit) => CommitResult {
  const { remembered } = tables;
  return (commit) => {
    const planned = planCommit(commit, remembered.view, tools);
    if (!planned.ok) return planned;
    const { plan } = planned;
    for (const move of plan.chains) {
      const handle = tables.chains.handleFor(move);
      tables.newRecords.add(handle, move.records);
      remembered.keepEnd(move, handle);
    }
    tables.redo.add(plan);
    commit.timers?.forEach((timer) => tables.timers.set(timer));
    commit.cancelTimers?.forEach(({ tenant, id }) => tables.timers.cancel(tenant, id));
    commit.blobs?.forEach((blob) => tables.blobs.write(blob));
    return resultOf(plan);
  };
}

/** The seqs that an erasure would touch: existing ones that are not themselves records of an erasure. */
function targets(tables: Tables, chain: ChainKey, seqs: number[] | 'all'): number[] {
  const present = tables.records.seqs(chain, LASTING_TYPES);
  if (seqs === 'all') return present;
  const wanted = new Set(seqs);
  return present.filter((seq) => wanted.has(seq));
}

/** The job of an erasure: payloads go, and the workspace chain and their own say so, in one transaction (S4). */
export function erase(
  tables: Tables,
  erasure: Omit<Erasure, 'seqs'> & { seqs: number[] | 'all' },
  commit: (commit: Commit) => CommitResult,
): void {
  const { chain } = erasure;
  tables.write();
  if (tables.chains.end(chain) === undefined) throw new RuntimeError('NOT_FOUND');
  const seqs = targets(tables, chain, erasure.seqs);
  commit({ appends: erasureRecords({ ...erasure, seqs }) }); // first: what cannot be recorded is not erased
  tables.records.erase(chain, seqs);
  tables.snapshots.remove(chain); // folded from what is now gone
}

/** The job of a removal (S7): what vouches for it is written first; refused, nothing is removed. */
export function retire(
  tables: Tables,
  retirement: Retirement,
  commit: (commit: Commit) => CommitResult,
): boolean {
  const { chain, upTo } = retirement;
  const closing = retirementCommit(retirement);
  tables.write();
  if (!tables.records.has(chain, upTo) || !commit(closing).ok) return false;
  tables.write();
  tables.redo.settle(); // whoever reads the chain without writing finds the word for what is missing
  tables.records.remove(chain, upTo.seq);
  tables.snapshots.remove(chain);
  return true;
}
