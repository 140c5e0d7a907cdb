// Owns the waiting of one caller for work that others wait for too: the caller may leave, the work goes on.
import { asRuntimeError, RuntimeError } from '../base/errors.ts';

/** Settles with the promise, or rejects with CANCELED when the signal aborts first. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(new RuntimeError('CANCELED', 'the wait for the server was ended'));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise
      .then(resolve, (thrown: unknown) => {
        reject(thrown instanceof Error ? thrown : asRuntimeError(thrown));
      })
      .finally(() => {
        signal.removeEventListener('abort', onAbort);
      });
  });
}
