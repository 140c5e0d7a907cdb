// Owns the reading and replacing of one file of a host: its real place, its text and rights, and the word that it has not
// changed while a person was asked.
import { lstat, mkdir, readFile, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import { replaceTextFile } from '../../store/documents/text-file.ts';
import type { Host, Places } from './host.ts';

const LARGEST = 8 * 1024 * 1024;

export interface HostFile {
  path: string;
  /** undefined: there is no such file. */
  text: string | undefined;
  mode: number;
}

function refuse(path: string, why: string): never {
  throw new RuntimeError('CONFIGURATION_ERROR', `${path}:1: ${why}. Nothing was changed.`, {
    file: path,
    line: 1,
  });
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The real path of what exists, and the rest as written. A link that leads nowhere is refused. */
async function realOf(path: string): Promise<string> {
  const found = await ifThere(realpath(path));
  if (found !== undefined) return found;
  if ((await ifThere(lstat(path))) !== undefined) refuse(path, 'this link leads nowhere');
  const parent = dirname(path);
  return parent === path ? path : join(await realOf(parent), basename(path));
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Throws CONFIGURATION_ERROR where the file is no text file of the place that it seems to lie in. */
export async function readHostFile(host: Host, places: Places): Promise<HostFile> {
  const named = host.file(places);
  const path = await realOf(named);
  // What a workspace brings must not lead us to change a file elsewhere.
  if (host.scope === 'workspace' && !isWithin(places.workspace, path)) {
    refuse(named, 'a link leads out of the workspace from here');
  }
  const found = await ifThere(stat(path));
  if (found === undefined) return { path, text: undefined, mode: host.scope === 'user' ? 0o600 : 0o644 };
  if (!found.isFile()) refuse(path, 'this is not a file');
  if (found.size > LARGEST) refuse(path, `the file is larger than ${LARGEST} bytes`);
  const bytes = await readFile(path);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { path, text, mode: found.mode & 0o777 };
  } catch {
    return refuse(path, 'the file is not UTF-8');
  }
}

/** Throws CONFLICT when the file is no longer what was read. */
async function assertSame({ path, text }: HostFile): Promise<void> {
  const now = await ifThere(readFile(path, 'utf8'));
  if (now === text) return;
  throw new RuntimeError(
    'CONFLICT',
    `${path} was changed by somebody else meanwhile. It was left as it is.`,
    {
      file: path,
    },
  );
}

/** Makes the folder of the file; returns the first that had to be made. */
export async function makeFolder({ path }: HostFile): Promise<string | undefined> {
  return mkdir(dirname(path), { recursive: true });
}

export async function replaceHostFile(file: HostFile, text: string): Promise<void> {
  await assertSame(file);
  await replaceTextFile(file.path, text, file.mode);
}

/** Removes the file, and the folders that were made for it as far as nothing else lies in them. */
export async function removeHostFile(file: HostFile, made: string | undefined): Promise<void> {
  await assertSame(file);
  await rm(file.path);
  if (made === undefined) return;
  for (let folder = dirname(file.path); isWithin(made, folder); folder = dirname(folder)) {
    try {
      await rmdir(folder);
    } catch {
      return; // somebody else's files lie there
    }
  }
}
