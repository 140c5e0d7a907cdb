// Owns directories that only their user may read, and the flushing of directory entries to disk.
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Flushes the entries of a directory: a created or renamed file is durable only after this. */
export function syncDir(dir: string): void {
  const handle = openSync(dir, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Makes the directory and what is missing above it, mode 0700, durably. What exists keeps its mode. */
export function makePrivateDir(dir: string): void {
  const wanted = resolve(dir);
  const first = mkdirSync(wanted, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = wanted; made.length >= first.length; made = dirname(made)) syncDir(dirname(made));
}
