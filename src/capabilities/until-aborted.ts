// Owns the waiting of one caller for work that others wait for too: the caller may leave, the work goes on.
import { whenEnded } from '../base/abort.ts';
import type { Until } from '../base/abort.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';

/** Settles with the promise, or rejects with CANCELED when the wait ends first. */
export function untilAborted<T>(promise: Promise<T>, until: Until): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const leave = whenEnded(until, () => {
      reject(new RuntimeError('CANCELED', 'the wait for the server was ended'));
    });
    promise
      .then(resolve, (thrown: unknown) => {
        reject(thrown instanceof Error ? thrown : asRuntimeError(thrown));
      })
      .finally(leave);
  });
}
