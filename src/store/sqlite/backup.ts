// Owns the copying of a whole store while it is in use: one consistent database file, and the content files beside it.
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import { makePrivateDir, syncDir } from '../private-dir.ts';
import type { Blobs } from './blobs.ts';
import type { Connection } from './connection.ts';

function syncFile(path: string): void {
  const handle = openSync(path, 'r+');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Copies into `target`, which must not exist; a copy that fails is taken away again. */
export async function backupTo(db: Connection, blobs: Blobs, target: string): Promise<void> {
  if (existsSync(target)) {
    throw new RuntimeError('INVALID_INPUT', `${target} exists already; name a new file.`, { field: '/path' });
  }
  makePrivateDir(dirname(target));
  try {
    db.prepare('VACUUM INTO ?').run([target]);
    chmodSync(target, 0o600);
    syncFile(target);
    syncDir(dirname(target));
    await blobs.copyTo(target);
  } catch (error) {
    rmSync(target, { force: true });
    throw error;
  }
}
