// Owns the lock file beside a document: one holder among all processes, and no lock that outlives its holder.
//
// L1  The lock appears whole, by a link to a finished file: whoever sees it can read who holds it.
// L2  Only a lock whose holder is gone is broken, never that of a live process, however slow: never two holders. A
//     process number that was given again is told apart by the start time of the process.
// L3  A stale lock is broken by the one who creates its breaker file, named after this very lock, and only while it is
//     still this lock: two that judged at the same time cannot remove a third one's fresh lock. The breaker file says
//     who made it, as a lock does, and one whose maker is gone is moved away first.
// L4  A lock that may be held for long is dated anew while it is held, so that no other machine takes it for stale.
import {
  closeSync,
  constants,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Ids } from '../../base/ids.ts';

const holderSchema = z.strictObject({
  pid: z.int().positive(),
  /** Start of the process in clock ticks since boot, where the system tells it; else ''. */
  started: z.string(),
  host: z.string(),
  token: z.string().regex(/^[0-9a-f]+$/),
});
type Holder = z.infer<typeof holderSchema>;

// A document is held for milliseconds, and what is held for longer is dated anew. A holder on another machine cannot be asked whether it lives, so its lock counts
// as stale after this long by the file system's own clock.
const FOREIGN_STALE_MS = 60_000;
const TRIES = 400;
const PAUSE_MS = 15;

function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22; the second field may hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function readHolder(path: string): Holder | 'none' | 'unreadable' {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw error;
  }
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

/** L2. `draft` is a file we have just made: its time is now, by the clock that dated the lock. */
function isStale(path: string, holder: Holder | 'unreadable', draft: string): boolean {
  // By L1 only a power cut leaves one that cannot be read, and it left no process either.
  if (holder === 'unreadable') return true;
  if (holder.host !== hostname()) return statSync(draft).mtimeMs - statSync(path).mtimeMs > FOREIGN_STALE_MS;
  return !isRunning(holder.pid) || (holder.started !== '' && startOf(holder.pid) !== holder.started);
}

function tokenOf(holder: Holder | 'unreadable'): string {
  return holder === 'unreadable' ? 'unreadable' : holder.token;
}

/** Of one who ended while breaking. One that another made meanwhile is put back. */
function clearBreaker(breaker: string, draft: string): void {
  const maker = readHolder(breaker);
  if (maker === 'none' || !isStale(breaker, maker, draft)) return;
  const taken = `${draft}.break`;
  try {
    renameSync(breaker, taken);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // somebody else was quicker
    throw error;
  }
  const now = readHolder(taken);
  if (now !== 'none' && tokenOf(now) !== tokenOf(maker)) tryLink(taken, breaker);
  rmSync(taken, { force: true });
}

/** L3. Whether the lock was this one's to break. */
function breakLock(path: string, judged: Holder | 'unreadable', draft: string): boolean {
  const breaker = `${path}.${tokenOf(judged)}.break`;
  if (!tryLink(draft, breaker)) {
    clearBreaker(breaker, draft);
    return false;
  }
  try {
    const now = readHolder(path);
    if (now !== 'none' && tokenOf(now) === tokenOf(judged)) rmSync(path, { force: true });
    return true;
  } finally {
    rmSync(breaker, { force: true });
  }
}

function tryLink(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes the lock if nobody who lives holds it. `draft` is the finished file. */
function tryTake(path: string, draft: string): boolean {
  for (;;) {
    if (tryLink(draft, path)) return true; // L1
    const holder = readHolder(path);
    if (holder === 'none') continue;
    if (!isStale(path, holder, draft) || !breakLock(path, holder, draft)) return false;
  }
}

async function acquire(path: string, draft: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    if (tryTake(path, draft)) return;
    await sleep(PAUSE_MS);
  }
  const sentence = `Another process holds ${path}; if none is running, remove that file.`;
  throw new RuntimeError('STORE_UNAVAILABLE', sentence, { file: path });
}

interface Draft {
  token: string;
  path: string;
}

function draftOf(lock: string, ids: Ids): Draft {
  const token = Buffer.from(ids.bytes(8)).toString('hex');
  const holder: Holder = { pid: process.pid, started: startOf(process.pid), host: hostname(), token };
  const path = `${lock}.${token}`;
  writeFileSync(path, JSON.stringify(holder), { flag: 'wx', mode: 0o600 });
  return { token, path };
}

function isOurs(path: string, token: string): boolean {
  const now = readHolder(path);
  return now !== 'none' && tokenOf(now) === token;
}

function release(path: string, token: string): void {
  if (isOurs(path, token)) rmSync(path, { force: true });
}

/** Runs `work` while holding the lock file; waits up to about 6 s for it. */
export async function withLock<T>(path: string, ids: Ids, work: () => Promise<T>): Promise<T> {
  const draft = draftOf(path, ids);
  try {
    await acquire(path, draft.path);
  } finally {
    rmSync(draft.path, { force: true });
  }
  try {
    return await work();
  } finally {
    release(path, draft.token);
  }
}

/** L4. Holds the lock file until it is released; undefined where somebody does who lives. */
export function holdLock(
  path: string,
  { ids, clock }: { ids: Ids; clock: Clock },
): { release(): void } | undefined {
  const draft = draftOf(path, ids);
  try {
    if (!tryTake(path, draft.path)) return undefined;
  } finally {
    rmSync(draft.path, { force: true });
  }
  let cancel = (): void => undefined;
  const dateAnew = (): void => {
    cancel = clock.after(FOREIGN_STALE_MS / 3, () => {
      if (isRedated(path, draft.token)) dateAnew();
    });
  };
  dateAnew();
  return {
    release: () => {
      cancel();
      release(path, draft.token);
    },
  };
}

/**
 * By the clock of the file system, which also says when it is stale: a blank at its end means nothing. False once it is gone,
 * another's, or cannot be dated: then others may take it, as they would one of ours that has ended.
 */
function isRedated(path: string, token: string): boolean {
  if (!isOurs(path, token)) return false;
  try {
    const handle = openSync(path, constants.O_WRONLY | constants.O_APPEND);
    try {
      writeSync(handle, ' ');
    } finally {
      closeSync(handle);
    }
    return true;
  } catch {
    return false;
  }
}
