// Owns what a command says of a file or folder that the system refuses to it: the place, and what the system said.
import { RuntimeError } from '../base/errors.ts';

// The system names no file when there is no room for what is written to it.
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** STORE_UNAVAILABLE for what the file system threw; undefined for anything else. */
export function fileFault(thrown: unknown): RuntimeError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { code, syscall, path, dest } = thrown as NodeJS.ErrnoException & { dest?: string };
  // A program that does not start has a path too.
  if (code === undefined || syscall === undefined || syscall.startsWith('spawn')) return undefined;
  const place = dest ?? path;
  if (place === undefined && !NO_ROOM.has(code)) return undefined;
  const what = place === undefined ? 'A file cannot be written' : `${place} cannot be used`;
  const details = place === undefined ? {} : { path: place };
  const fault = new RuntimeError('STORE_UNAVAILABLE', `${what} (${syscall}): ${code}.`, details);
  fault.cause = thrown;
  return fault;
}
