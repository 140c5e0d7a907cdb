// Owns the opening and closing of a SQLite store, and its face: each method of the port joined to the table behind it.
import { resolve } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import type { Ids } from '../../base/ids.ts';
import type { Head, Store, StoredRow, TenantKeys } from '../contract.ts';
import { checkLimit, LARGEST_SCAN } from '../cursor.ts';
import { createDamageLog } from '../damage.ts';
import type { DamageLog } from '../damage.ts';
import { checkChainKey, checkCommit, checkName } from '../names.ts';
import type { Series } from '../../base/series.ts';
import { readSealed } from '../stored-record.ts';
import { createWaiters } from '../waiters.ts';
import type { Waiters } from '../waiters.ts';
import { backupTo } from './backup.ts';
import { chainReads } from './chain-reads.ts';
import { connect } from './connection.ts';
import type { Connection } from './connection.ts';
import { answer, storeError, whenFree } from './faults.ts';
import { inspectFile, preparePath } from './file.ts';
import { createFlush } from './flush.ts';
import { configure, ensureSchema, SCHEMA_VERSION } from './schema.ts';
import { createCommitJob, createTables, erase, retire } from './tables.ts';
import type { Tables } from './tables.ts';
import { createWriter } from './writer.ts';
import type { How, Writer } from './writer.ts';

export interface SqliteOptions {
  /** The database file; made with its directory when missing. */
  path: string;
  keys: TenantKeys;
  clock: Clock;
  ids: Ids;
}

// How long one call may block this process while another one commits; longer waits go through the event loop.
const BUSY_MS = 20;

/** What the faces below share. */
interface Room extends SqliteOptions {
  db: Connection;
  tables: Tables;
  writer: Writer;
  waiters: Waiters;
  damage: DamageLog;
  /** A read in the port's words: patient, refused once closed, damage remembered. */
  ask: Ask;
  /** The same for what is only decided on: it may be ahead of the disk, because what follows from it is written after it. */
  peek: Ask;
  /** Brings the tables of what lies in the redo log up to date with it. */
  settle(): Promise<void>;
}

type Ask = <T>(doing: string, read: () => T | Promise<T>) => Promise<T>;

function openOnce(path: string): Connection {
  const db = connect(path, BUSY_MS);
  try {
    configure(db, path);
    ensureSchema(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The first opening of a new file can meet another one, which no busy time-out covers: it is tried again. */
async function openFile(path: string): Promise<Connection> {
  inspectFile(path, SCHEMA_VERSION);
  preparePath(path);
  return whenFree(() => openOnce(path));
}

function createRoom(db: Connection, options: SqliteOptions, isClosed: () => boolean): Room {
  const damage = createDamageLog();
  const tables = createTables(db, options.path, { ...options, damage });
  const flush = createFlush(options.path);
  const listener = {
    begun: () => {
      tables.remembered.begun();
    },
    ending: () => {
      tables.write();
    },
    undone: () => {
      tables.undone();
    },
  };
  const writer = createWriter({ db, flush, listener, clock: options.clock });
  const peek: Ask = async (doing, read) => {
    if (isClosed()) throw new RuntimeError('STORE_UNAVAILABLE', 'The store is closed.', { doing });
    try {
      return await answer(doing, read);
    } catch (error) {
      const told = asRuntimeError(error);
      // What names its chain has been noted with it.
      if (told.code === 'STORE_CORRUPT' && !('aggregate' in told.details)) damage.note(told.message);
      throw told;
    }
  };
  return {
    ...options,
    db,
    tables,
    damage,
    writer,
    settle: () =>
      writer.write('settle', () => {
        tables.write();
        tables.redo.settle();
      }),
    waiters: createWaiters(() => tables.chains.newestPosition(), options.clock),
    peek,
    async ask(doing, read) {
      const found = await peek(doing, () => {
        writer.commitOpen(); // what waits for the next is read too, and a copy is made outside of transactions
        return read();
      });
      await writer.unsettled(); // nobody is told what a loss of power could still undo
      return found;
    },
  };
}

type WritingFace = Pick<
  Store,
  'commit' | 'erase' | 'retire' | 'saveSnapshot' | 'claim' | 'release' | 'claimTimers' | 'report'
>;

function writingFace(room: Room): WritingFace {
  const { tables, writer, waiters, db } = room;
  const runCommit = createCommitJob(tables, room);
  return {
    async commit(commit) {
      checkCommit(commit);
      const blobs = commit.blobs;
      if (blobs !== undefined) {
        await tables.blobs.prepare(blobs).catch((error: unknown) => {
          throw storeError(error, 'write content');
        });
      }
      const result = await writer.write('commit', () => runCommit(commit), commit);
      if (commit.appends !== undefined && result.ok) waiters.wake();
      return result;
    },
    async erase(chain, seqs, at, reason) {
      await writer.write('erase', () => {
        erase(tables, { chain, seqs, at, reason }, runCommit);
      });
      waiters.wake();
      // The erased bytes still lie in the log until it is copied back; a busy file does that later.
      await answer('erase', () => db.pragma('wal_checkpoint(TRUNCATE)')).catch(() => undefined);
    },
    async retire(chain, upTo, at, closing) {
      checkCommit(closing);
      const isDone = await writer.write('retire', () =>
        retire(tables, { chain, upTo, at, closing }, runCommit),
      );
      waiters.wake();
      await answer('retire', () => db.pragma('wal_checkpoint(TRUNCATE)')).catch(() => undefined);
      return isDone;
    },
    saveSnapshot: (chain, seq, hash, state) =>
      writer.write('snapshot', () => {
        tables.snapshots.save(chain, { seq, hash, state });
      }),
    claim: (...of) => claim(room, of),
    release: (lease) =>
      writer.write('release', () => {
        tables.leases.release(lease);
      }),
    async claimTimers(...of) {
      const [owner, now, ms, limit, agent] = of;
      checkLimit(limit, LARGEST_SCAN);
      return writer.write('timers', () => tables.timers.claim({ owner, now, ms, limit, agent }));
    },
    async report() {
      // Only a durable write shows that one is possible.
      const probe = writer.write('probe', () => db.prepare(PROBE).run([]));
      const writable = await probe.then(
        () => true,
        () => false,
      );
      return { engine: 'sqlite', schemaVersion: SCHEMA_VERSION, damage: room.damage.list(), writable };
    },
  };
}

async function claim(
  { writer, tables }: Room,
  [key, owner, now, ms, series]: Parameters<Store['claim']>,
): ReturnType<Store['claim']> {
  checkName('key', key);
  checkName('owner', owner);
  const how: How = series === undefined ? {} : { flush: 'with_next', series };
  return writer.write('claim', () => tables.leases.claim({ key, owner, now, ms }), how);
}

const PROBE =
  'INSERT INTO probes (id, number) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET number = number + 1';

type ReadingFace = Omit<Store, keyof WritingFace | 'backup' | 'close'>;

function readingFace(room: Room): ReadingFace {
  const { tables, ask, peek } = room;
  const { remembered } = tables;
  const askChains: Ask = (doing, read) =>
    ask(doing, () => {
      remembered.look();
      return read();
    });
  /** Sees what this process has written, on disk or not; the series waits for it in the end. */
  const askAhead = <T>(doing: string, series: Series, read: () => T): Promise<T> =>
    peek(doing, () => {
      const found = read();
      // With the read itself: what was seen may be undone before the answer comes.
      const unflushed = room.writer.unflushed();
      if (unflushed !== undefined) series.tell(unflushed);
      return found;
    });
  return {
    head: (chain, series) => {
      const read = (): Head | undefined => {
        remembered.look();
        const end = remembered.view.chainEnd(chain);
        return end && { chain, seq: end.seq, hash: end.hash };
      };
      return series === undefined ? ask('head', read) : askAhead('head', series, read);
    },
    ...chainReads(tables, askChains),
    unseal: (chain, seq) =>
      askChains(`unseal ${chain.aggregate} ${chain.id}`, () => {
        checkChainKey(chain);
        const found = tables.records.sealed(chain, seq);
        if (found?.header.sealed === undefined) throw new RuntimeError('NOT_FOUND');
        const payload = readSealed(found.header, found.sealed, room.keys.sealingKey(chain.tenant));
        if (payload.state === 'unreadable')
          room.damage.note(`record ${seq}: sealed payload unreadable`, chain);
        return payload;
      }),
    scan: (query) =>
      ask('scan', () => {
        checkLimit(query.limit, LARGEST_SCAN);
        return tables.records.scan(query);
      }),
    changed: async (position, signal) => ask('changed', () => room.waiters.wait(position, signal)),
    row: (kind, tenant, id, series) => {
      const read = (): StoredRow | undefined => remembered.row(kind, tenant, id);
      return series === undefined ? ask('row', read) : askAhead('row', series, read);
    },
    list: (query) =>
      ask('list', async () => {
        if (tables.redo.isPending()) await room.settle();
        return tables.rows.list(query);
      }),
    oldestDue: (...of) => ask('timers', () => tables.timers.oldestDue(...of)),
    counter: (key) => peek('counter', () => remembered.counters([key])[0] ?? 0),
    counters: (keys) => peek('counters', () => remembered.counters(keys)),
    snapshot: (chain) => askChains('snapshot', () => tables.snapshots.find(chain)),
    blob: (tenant, key) => ask('content', () => tables.blobs.find(tenant, key)),
  };
}

/**
 * Opens the store in a file. Throws STORE_CORRUPT for a file that is not whole or not ours and STORE_FUTURE_VERSION for
 * one of a newer version, both with the file untouched; STORE_UNAVAILABLE when it cannot be used now.
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const path = resolve(options.path);
  let isClosed = false;
  try {
    const db = await openFile(path);
    const room = createRoom(db, { ...options, path }, () => isClosed);
    return {
      ...writingFace(room),
      ...readingFace(room),
      backup: (target) => room.ask('backup', () => backupTo(db, room.tables.blobs, resolve(target))),
      async close() {
        if (isClosed) return;
        isClosed = true;
        room.waiters.close();
        await room.settle().catch(() => undefined); // else whoever opens it next does it
        await room.writer.close();
        // Statements outlive the driver's close until they are collected; the log is emptied now.
        await answer('close', () => db.pragma('wal_checkpoint(TRUNCATE)')).catch(() => undefined);
        db.close();
      },
    };
  } catch (error) {
    throw storeError(error, 'open');
  }
}
