// Owns the exit codes of the command line: what each means, and which one an error ends with.
import { asRuntimeError, ERRORS } from '../base/errors.ts';

export const EXIT = { ok: 0, check: 1, usage: 2, refused: 3, notFound: 4, fault: 5 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

export function exitOf(thrown: unknown): Exit {
  return ERRORS[asRuntimeError(thrown).code].exit;
}
