// Owns writing to standard output as fast as it is taken, and what it means when it is not: a reader may leave early
// (`| head`), which is no fault of the command; a disk may be full, which is.
import type { Writable } from 'node:stream';
import { RuntimeError } from '../base/errors.ts';

// After the first of the two, later writes end with the second.
const LEFT: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/** False when nobody reads any more. Throws STORE_UNAVAILABLE where the text does not fit. */
export function written(target: Writable, text: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    target.write(text, (error: NodeJS.ErrnoException | null | undefined) => {
      if (error === null || error === undefined) resolve(true);
      else if (LEFT.has(error.code)) resolve(false);
      else {
        const why = error.code ?? 'unknown';
        reject(new RuntimeError('STORE_UNAVAILABLE', `The output cannot be written: ${why}.`));
      }
    });
  });
}
