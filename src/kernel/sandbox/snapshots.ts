// Owns the copies of a kept home: made of regular files only, beside the event loop, and the newest few of them.
//
// N1: a copy is named by what it holds, so two equal ones are one, and a changed one is seen.
// N2: nothing is reached through a link: each file is opened in the directory that was opened before it, by its own name.
// N3: a program that fills its home does not fill ours with copies of it.
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { cp, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';

const MAX_BYTES = 256 * 1024 * 1024;
const MAX_ENTRIES = 10_000;
const MAX_DEPTH = 64;
const CHUNK_BYTES = 256 * 1024;
// The one before the last is there for a person, if a program has spoiled its home.
const KEPT = 2;
const LAST = 'last-snapshot';
const NAME = /^snap_[0-9a-f]{32}$/;

// A pipe without a writer must not keep us waiting either.
const AS_IT_IS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
// A link, a socket, and what has gone meanwhile.
const NO_FILES: ReadonlySet<unknown> = new Set(['ELOOP', 'ENXIO', 'ENOENT']);

class TooMuch extends Error {}

/** What was copied so far. */
interface Sum {
  hash: Hash;
  bytes: number;
  entries: number;
}

async function openAsItIs(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, AS_IT_IS);
  } catch (error) {
    if (NO_FILES.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

/** Its kind and content, as one word. */
async function copyFile(from: FileHandle, to: string, sum: Sum): Promise<string> {
  const isProgram = ((await from.stat()).mode & 0o100) !== 0;
  const out = await open(to, 'wx', isProgram ? 0o700 : 0o600);
  const hash = createHash('sha256').update(isProgram ? 'program\0' : 'file\0');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (;;) {
      const { bytesRead } = await from.read(buffer, 0, CHUNK_BYTES);
      if (bytesRead === 0) return hash.digest('hex');
      sum.bytes += bytesRead;
      if (sum.bytes > MAX_BYTES) throw new TooMuch();
      const read = buffer.subarray(0, bytesRead);
      hash.update(read);
      await out.writeFile(read);
    }
  } finally {
    await out.close();
  }
}

/** N2. `name` is relative to the home; the root's is empty. */
async function copyDirectory(from: FileHandle, to: string, name: string, sum: Sum): Promise<void> {
  const here = `/proc/self/fd/${from.fd}`;
  if (name.split(sep).length > MAX_DEPTH) throw new TooMuch();
  await mkdir(to, { mode: 0o700 });
  sum.hash.update(`${name}\0directory\0`);
  for (const entry of (await readdir(here)).sort()) {
    if (++sum.entries > MAX_ENTRIES) throw new TooMuch();
    const file = await openAsItIs(`${here}/${entry}`);
    if (file === undefined) continue;
    const path = join(name, entry);
    try {
      const kind = await file.stat();
      if (kind.isDirectory()) await copyDirectory(file, join(to, entry), path, sum);
      else if (kind.isFile()) sum.hash.update(`${path}\0${await copyFile(file, join(to, entry), sum)}\0`);
    } finally {
      await file.close();
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The name of the last copy, if there is one. */
export async function lastSnapshot(place: string): Promise<string | undefined> {
  let name: string;
  try {
    name = (await readFile(join(place, LAST), 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return NAME.test(name) ? name : undefined;
}

/** Fills an empty home from a copy; false where the copy is not there any more. */
export async function fromSnapshot(place: string, name: string, home: string): Promise<boolean> {
  const copy = join(place, 'snapshots', name);
  if (!(await isThere(copy))) return false;
  await cp(copy, home, { recursive: true });
  return true;
}

/** Says which copy is the last, whole or not at all, and keeps no older ones than it may. */
async function settle(place: string, name: string): Promise<void> {
  const before = await lastSnapshot(place);
  if (before === name) return; // what was kept beside it stays
  const draft = join(place, `${LAST}.making`);
  await writeFile(draft, name, { mode: 0o600 });
  await rename(draft, join(place, LAST));
  const all = join(place, 'snapshots');
  const kept = [name, ...(before === undefined ? [] : [before])].slice(0, KEPT);
  const older = (await readdir(all)).filter((one) => NAME.test(one) && !kept.includes(one));
  await Promise.all(older.map((one) => rm(join(all, one), { recursive: true, force: true })));
}

/** Copies a home whose program is gone. Too much in it: there is no new copy, and the last one stays. */
export async function makeSnapshot(place: string, home: string): Promise<void> {
  const all = join(place, 'snapshots');
  const making = join(all, 'making');
  await rm(making, { recursive: true, force: true });
  await mkdir(all, { recursive: true, mode: 0o700 });
  const sum: Sum = { hash: createHash('sha256'), bytes: 0, entries: 0 };
  const root = await open(home, AS_IT_IS | constants.O_DIRECTORY);
  try {
    await copyDirectory(root, making, '', sum);
    const name = `snap_${sum.hash.digest('hex').slice(0, 32)}`;
    if (!(await isThere(join(all, name)))) await rename(making, join(all, name));
    await settle(place, name);
  } catch (thrown) {
    if (!(thrown instanceof TooMuch)) throw thrown;
  } finally {
    await root.close();
    await rm(making, { recursive: true, force: true });
  }
}
