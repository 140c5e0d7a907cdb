// Owns the home directories that outlive a confined process: kept, emptied or copied as the profile's state says.
//
// H1: a snapshot is named by what it holds, so two equal ones are one, and a changed one is seen.
// H2: a name here is a server's, which is a plain word; nothing a program says becomes a path.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import type { SandboxProfile } from '../../config/types.ts';
import type { Start } from './confine.ts';

export interface Home {
  path: string;
  start: Start;
  /** The last copy that was made of it, if one was. */
  snapshotId?: string;
  /** Makes the copy that the profile asks for. */
  ended(): void;
}

// A program that fills its home must not fill ours with copies of it.
const MAX_SNAPSHOT_BYTES = 256 * 1024 * 1024;
const MAX_SNAPSHOT_FILES = 10_000;
const LAST = 'last-snapshot';

/** Regular files by relative name; links and devices are not copied. undefined: too many, or too much. */
function regularFiles(root: string): string[] | undefined {
  const found: string[] = [];
  let bytes = 0;
  const walk = (directory: string): boolean => {
    for (const name of readdirSync(join(root, directory)).sort()) {
      const path = join(directory, name);
      const stat = lstatSync(join(root, path));
      if (stat.isDirectory()) {
        if (!walk(path)) return false;
      } else if (stat.isFile()) {
        found.push(path);
        bytes += stat.size;
        if (found.length > MAX_SNAPSHOT_FILES || bytes > MAX_SNAPSHOT_BYTES) return false;
      }
    }
    return true;
  };
  return walk('') ? found : undefined;
}

function snapshot(home: string, place: string): string | undefined {
  const files = regularFiles(home);
  if (files === undefined) return undefined;
  const hash = createHash('sha256');
  for (const file of files) {
    const bytes = readFileSync(join(home, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  const id = `snap_${hash.digest('hex').slice(0, 32)}`;
  const target = join(place, 'snapshots', id);
  if (!existsSync(target)) {
    const making = `${target}.making`;
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { recursive: true, mode: 0o700 });
    for (const file of files) cpSync(join(home, file), join(making, file), { recursive: true });
    renameSync(making, target);
  }
  writeFileSync(join(place, LAST), id, { mode: 0o600 });
  return id;
}

/** Leaves the directory as the profile wants it found; `copy` is the last snapshot, if there is one. */
function prepare(path: string, { resume }: SandboxProfile, copy: string | undefined): Start {
  if (resume !== 'allowed') rmSync(path, { recursive: true, force: true });
  const isKept = existsSync(path);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (resume === 'snapshot' && copy !== undefined && existsSync(copy)) {
    cpSync(copy, path, { recursive: true });
    return 'snapshot';
  }
  return isKept ? 'resumed' : 'fresh';
}

/** Throws SUBPROCESS_TRANSPORT_FAILED when it cannot be made. */
export function openHome(homes: string, label: string, profile: SandboxProfile): Home {
  const place = join(homes, label);
  const path = join(place, 'home');
  try {
    const last = join(place, LAST);
    const snapshotId = existsSync(last) ? readFileSync(last, 'utf8').trim() : undefined;
    const start = prepare(
      path,
      profile,
      snapshotId === undefined ? undefined : join(place, 'snapshots', snapshotId),
    );
    return {
      path,
      start,
      ...(snapshotId === undefined ? {} : { snapshotId }),
      ended() {
        if (profile.snapshot === 'none') return;
        try {
          snapshot(path, place);
        } catch {
          // The next start says which snapshot there is; a copy that failed is not it.
        }
      },
    };
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new RuntimeError(
      'SUBPROCESS_TRANSPORT_FAILED',
      `the kept home directory of ${label} cannot be opened (${reason})`,
      { server: label, reason },
    );
  }
}
