// Owns large content: rows of the database, and above 1 MiB files beside it. A file is on disk before the commit that
// names it, and content under one key never changes, so a refused commit leaves at most one unnamed file, however often it
// is tried. What an interrupted writing left is removed by the first that writes a file after an hour.
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Clock, EpochMs } from '../../base/clock.ts';
import type { Ids } from '../../base/ids.ts';
import type { BlobWrite } from '../contract.ts';
import { safeFileName } from '../file-name.ts';
import { makePrivateDir, syncDir } from '../private-dir.ts';
import { asBytes } from './connection.ts';
import type { Connection } from './connection.ts';

const LARGEST_ROW = 1024 * 1024;
const DRAFT = '.tmp';
const DRAFT_MS = 60 * 60 * 1000;

export interface Blobs {
  /** Puts on disk what will be a file; before the transaction. */
  prepare(blobs: BlobWrite[]): Promise<void>;
  write(blob: BlobWrite): void;
  find(tenant: string, key: string): Uint8Array | undefined;
  /** Copies the files into `blobs/` beside another database. */
  copyTo(path: string): Promise<void>;
}

interface BlobColumns {
  digest: string;
  bytes: unknown;
}

function blobPath(dbPath: string, tenant: string, key: string): string {
  return join(dirname(dbPath), 'blobs', safeFileName(tenant), safeFileName(key));
}

async function flushFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeDraft(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeFileDurably(path: string, bytes: Uint8Array, ids: Ids): Promise<void> {
  makePrivateDir(dirname(path));
  // A file has its name only once it is whole, and its content is told by that name.
  const before = await stat(path).catch(() => undefined);
  if (before?.isFile() !== true || before.size !== bytes.length) {
    const draft = `${path}.${Buffer.from(ids.bytes(8)).toString('hex')}${DRAFT}`;
    try {
      await writeDraft(draft, bytes);
      await rename(draft, path);
    } catch (error) {
      await unlink(draft).catch(() => undefined);
      throw error;
    }
  }
  syncDir(dirname(path));
}

/** Of writers that ended before they could do it. Nobody else's: a draft that is so old is not being written. */
async function removeOldDrafts(directory: string, now: EpochMs): Promise<void> {
  const drafts = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith(DRAFT));
  for (const name of drafts) {
    const path = join(directory, name);
    const { mtimeMs } = await stat(path);
    if (mtimeMs < now - DRAFT_MS) await unlink(path);
  }
}

function damagedBlob(tenant: string, key: string, what: string): RuntimeError {
  return new RuntimeError('STORE_CORRUPT', `A stored content is damaged: ${what}.`, { tenant, key, what });
}

export function createBlobs(db: Connection, path: string, { ids, clock }: { ids: Ids; clock: Clock }): Blobs {
  const insert = db.prepare(
    'INSERT INTO blobs (tenant, key, digest, bytes) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, key) DO NOTHING',
  );
  const find = db.prepare('SELECT digest, bytes FROM blobs WHERE tenant = ? AND key = ?');
  const listFiles = db.prepare('SELECT tenant, key FROM blobs WHERE bytes IS NULL');

  let haveLooked = false;
  const looked = async (): Promise<void> => {
    if (haveLooked) return;
    haveLooked = true;
    // Only tidying: another process may do the same at this moment.
    await removeOldDrafts(join(dirname(path), 'blobs'), clock.now()).catch(() => undefined);
  };

  return {
    async prepare(blobs) {
      for (const { tenant, key, bytes } of blobs) {
        if (bytes.length <= LARGEST_ROW) continue;
        await looked();
        await writeFileDurably(blobPath(path, tenant, key), bytes, ids);
      }
    },
    write({ tenant, key, bytes }) {
      insert.run([tenant, key, sha256(bytes), bytes.length > LARGEST_ROW ? null : bytes]);
    },
    find(tenant, key) {
      const row = find.get([tenant, key]) as BlobColumns | undefined;
      if (row === undefined) return undefined;
      const file = blobPath(path, tenant, key);
      if (row.bytes === null && !existsSync(file)) throw damagedBlob(tenant, key, 'its file is missing');
      const bytes = row.bytes === null ? new Uint8Array(readFileSync(file)) : asBytes(row.bytes);
      if (bytes instanceof Uint8Array && sha256(bytes) === row.digest) return bytes;
      throw damagedBlob(tenant, key, 'its bytes are not those that were stored');
    },
    async copyTo(target) {
      if (dirname(target) === dirname(path)) return; // the copy uses the same files
      for (const { tenant, key } of listFiles.all([]) as { tenant: string; key: string }[]) {
        const copy = blobPath(target, tenant, key);
        makePrivateDir(dirname(copy));
        await copyFile(blobPath(path, tenant, key), copy);
        await flushFile(copy);
        syncDir(dirname(copy));
      }
    },
  };
}
