// Owns the state file as a file: its first creation, its modes, and the look at its header before any engine opens it,
// so that a file that is not ours, newer or cut short is refused untouched.
import { chmodSync, closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import { makePrivateDir, syncDir } from '../private-dir.ts';

const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';

/** "ARPK": tells our file from any other database. */
export const APPLICATION_ID = 0x4152504b;

function corrupt(path: string, what: string): RuntimeError {
  const sentence = `The state file ${path} ${what}. It was left as it is; restore a backup or move it away.`;
  return new RuntimeError('STORE_CORRUPT', sentence, { file: path });
}

export function futureVersion(path: string, found: number, known: number): RuntimeError {
  const sentence = `The state file ${path} has schema version ${found}; this version knows ${known}.`;
  return new RuntimeError('STORE_FUTURE_VERSION', sentence, { file: path, found, known });
}

export function notOurs(path: string): RuntimeError {
  return corrupt(path, 'is a database, but not a state file of this product');
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readHeader(path: string): { header: Buffer; size: number } {
  const handle = openSync(path, 'r');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const read = readSync(handle, header, 0, HEADER_BYTES, 0);
    return { header: header.subarray(0, read), size: fstatSync(handle).size };
  } finally {
    closeSync(handle);
  }
}

function isCutShort(path: string): boolean {
  const { header, size } = readHeader(path);
  const rawPageSize = header.readUInt16BE(16);
  const pageSize = rawPageSize === 1 ? 65_536 : rawPageSize;
  // A log that is not yet copied back may hold the missing pages.
  return size < pageSize * header.readUInt32BE(28) && sizeOf(`${path}-wal`) === 0;
}

/** Throws STORE_CORRUPT or STORE_FUTURE_VERSION; a missing or new, still empty file passes. */
export function inspectFile(path: string, known: number): void {
  if (!existsSync(path)) return;
  const { header } = readHeader(path);
  if (header.length === 0) {
    // The engine makes the log only after the first page, and would throw this log away. Another process may just have
    // made both, so the file is looked at after the log.
    if (sizeOf(`${path}-wal`) > 0 && sizeOf(path) === 0) throw corrupt(path, 'is empty, but its log is not');
    return;
  }
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, 16) !== MAGIC) {
    throw corrupt(path, 'is not a database');
  }
  const version = header.readUInt32BE(60);
  const application = header.readUInt32BE(68);
  // Zeros: a file whose tables are still in the log, or were never made.
  if (application !== APPLICATION_ID && (application !== 0 || version !== 0)) throw notOurs(path);
  if (version > known) throw futureVersion(path, version, known);
  // Twice: between two of the looks inside, another process may have copied its log back and removed it.
  if (isCutShort(path) && isCutShort(path)) throw corrupt(path, 'is shorter than its header says');
}

/** Makes sure that the file exists, in a directory that exists, and that only its user can read it. */
export function preparePath(path: string): void {
  makePrivateDir(dirname(path));
  const isNew = !existsSync(path);
  // Made here and not by the engine: log and index take over the mode of the file.
  closeSync(openSync(path, 'a', 0o600));
  if (isNew) syncDir(dirname(path));
  else if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
}
