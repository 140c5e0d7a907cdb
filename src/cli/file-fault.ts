// Owns what a command says of a file or folder that the system refuses to it: the place, and what the system said.
import { RuntimeError } from '../base/errors.ts';

/** STORE_UNAVAILABLE for what the file system threw; undefined for anything else. */
export function fileFault(thrown: unknown): RuntimeError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { code, syscall, path, dest } = thrown as NodeJS.ErrnoException & { dest?: string };
  // A program that does not start has a path too.
  if (code === undefined || syscall === undefined || syscall.startsWith('spawn')) return undefined;
  const place = dest ?? path;
  if (place === undefined) return undefined;
  const fault = new RuntimeError('STORE_UNAVAILABLE', `${place} cannot be used (${syscall}): ${code}.`, {
    path: place,
  });
  fault.cause = thrown;
  return fault;
}
