// Owns reading the chains of a file that must not be changed by it: damaged, somebody else's, or in use by a server.
// R1  Nothing is written to the file, and where it has no log beside it, no file is made beside it either.
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createDamageLog } from '../damage.ts';
import { chainReads } from './chain-reads.ts';
import type { ChainReads } from './chain-reads.ts';
import { createChains } from './chains.ts';
import { connect } from './connection.ts';
import type { Connection } from './connection.ts';
import { answer, storeError } from './faults.ts';
import { APPLICATION_ID, futureVersion, inspectFile, notOurs } from './file.ts';
import { createRecords } from './records.ts';
import { readPendingEnds } from './redo.ts';
import { SCHEMA_VERSION } from './schema.ts';

const BUSY_MS = 20;

function stampOf(path: string): string {
  const { size, mtimeMs, ino } = statSync(path);
  return `${size} ${mtimeMs} ${ino}`;
}

function openOnce(path: string, isImmutable: boolean): Connection {
  const uri = pathToFileURL(path);
  uri.searchParams.set('mode', 'ro');
  if (isImmutable) uri.searchParams.set('immutable', '1');
  const db = connect(uri.href, BUSY_MS);
  try {
    // The driver opens at the first use, so a file that cannot be opened is found here.
    if (db.pragma('application_id') !== APPLICATION_ID) throw notOurs(path);
    const version = Number(db.pragma('user_version'));
    if (version > SCHEMA_VERSION) throw futureVersion(path, version, SCHEMA_VERSION);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

async function readWith<T>(
  path: string,
  isImmutable: boolean,
  work: (reads: ChainReads) => Promise<T>,
): Promise<T> {
  const db = await answer('open', () => openOnce(path, isImmutable));
  try {
    const ends = readPendingEnds(db);
    const chains = createChains(db, (handle) => ends.get(handle));
    const records = createRecords({ db, chains, damage: createDamageLog() });
    return await work(chainReads({ chains, records }, answer));
  } finally {
    db.close();
  }
}

/**
 * Runs `work` over the chains of the file as they are (R1). It is run a second time when a server began to write
 * meanwhile. Throws STORE_CORRUPT for a file that is not ours, STORE_FUTURE_VERSION for a newer one, STORE_UNAVAILABLE
 * when it cannot be read.
 */
export async function readSqliteChains<T>(file: string, work: (reads: ChainReads) => Promise<T>): Promise<T> {
  const path = resolve(file);
  try {
    inspectFile(path, SCHEMA_VERSION);
    const before = stampOf(path);
    // Without a log nobody has the file open, and everything is in it: it can be read as a thing that does not change.
    if (existsSync(`${path}-wal`)) return await readWith(path, false, work);
    const isSame = (): boolean => stampOf(path) === before && !existsSync(`${path}-wal`);
    try {
      const found = await readWith(path, true, work);
      if (isSame()) return found;
    } catch (error) {
      if (isSame()) throw error;
    }
    return await readWith(path, false, work);
  } catch (error) {
    throw storeError(error, 'open');
  }
}
