// Owns the home directories that outlive a confined process: whose each is, that one process at a time has it, and that it
// is kept, emptied or copied as the profile's state says.
//
// H1: a home belongs to one server and one owner; nobody else's process ever finds it.
// H2: one process has a home, whatever other process of ours runs: the next one gets another of the same owner's.
// H3: a name here is a server's, which is a plain word, or a digest; nothing a program says becomes a path.
// Two starts of one owner after each other find the same home: the second waits until the first one's copy is made.
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import type { SandboxProfile } from '../../config/types.ts';
import type { Start } from './confine.ts';
import { fromSnapshot, lastSnapshot, makeSnapshot } from './snapshots.ts';

export interface Home {
  path: string;
  start: Start;
  /** The last copy that was made of it, if one was. */
  snapshotId?: string;
  /** The program is gone: makes the copy that the profile asks for and gives the home back. Never rejects. */
  ended(): Promise<void>;
  /** No program was started in it. */
  unused(): void;
}

/** Whose home; `owner` is a digest. */
export interface HomeOf {
  label: string;
  owner: string;
  profile: SandboxProfile;
}

/** Undefined where somebody who is alive holds this file. */
export type LockHome = (path: string) => { release(): void } | undefined;

interface Lock {
  release(): void;
}

// As many processes of one server for one owner at a time.
const MOST = 16;

/** Leaves the directory as the profile wants it found. */
async function prepare(
  place: string,
  { resume }: SandboxProfile,
  copy: string | undefined,
): Promise<{ path: string; start: Start }> {
  const path = join(place, 'home');
  if (resume !== 'allowed') await rm(path, { recursive: true, force: true });
  const isKept = await stat(path).then(
    () => true,
    () => false,
  );
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (resume === 'snapshot' && copy !== undefined && (await fromSnapshot(place, copy, path))) {
    return { path, start: 'snapshot' };
  }
  return { path, start: isKept ? 'resumed' : 'fresh' };
}

export class Homes {
  readonly #directory: string;
  readonly #lock: LockHome;
  /** Whose program is gone, until they are given back. */
  readonly #ending = new Map<string, Promise<void>>();

  constructor(directory: string, lock: LockHome) {
    this.#directory = directory;
    this.#lock = lock;
  }

  /** Throws SUBPROCESS_TRANSPORT_FAILED when there is none to be had. */
  async open(of: HomeOf): Promise<Home> {
    try {
      for (let number = 1; number <= MOST; number++) {
        const place = join(this.#directory, of.label, of.owner, String(number));
        await this.#ending.get(place);
        await mkdir(place, { recursive: true, mode: 0o700 });
        const lock = this.#lock(join(place, 'lock'));
        if (lock !== undefined) return await this.#open(place, of, lock);
      }
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
      throw unopened(of.label, `it cannot be opened (${reason})`);
    }
    throw unopened(of.label, `all ${MOST} are in use`);
  }

  async #open(place: string, { profile }: HomeOf, lock: Lock): Promise<Home> {
    try {
      const snapshotId = await lastSnapshot(place);
      const { path, start } = await prepare(place, profile, snapshotId);
      return {
        path,
        start,
        ...(snapshotId === undefined ? {} : { snapshotId }),
        ended: () => {
          const ending = this.#end(place, profile, lock);
          this.#ending.set(place, ending);
          return ending;
        },
        unused: () => lock.release(),
      };
    } catch (thrown) {
      lock.release();
      throw thrown;
    }
  }

  async #end(place: string, { snapshot }: SandboxProfile, lock: Lock): Promise<void> {
    try {
      if (snapshot !== 'none') await makeSnapshot(place, join(place, 'home'));
    } catch {
      // The next start says which snapshot there is; a copy that failed is not it.
    } finally {
      this.#ending.delete(place);
      lock.release();
    }
  }
}

function unopened(label: string, reason: string): RuntimeError {
  const text = `the kept home directory of ${label} cannot be used: ${reason}`;
  return new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', text, { server: label, reason });
}
