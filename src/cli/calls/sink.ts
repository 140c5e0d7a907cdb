// Owns writing many lines as fast as the reader takes them, and no faster.
import type { Writable } from 'node:stream';
import { written } from '../written.ts';

const BATCH_CHARS = 64 * 1024;

export interface Sink {
  /** False when nobody reads any more: there is no point in another one. */
  line(text: string): Promise<boolean>;
  flush(): Promise<boolean>;
}

export function createSink(target: Writable): Sink {
  let held: string[] = [];
  let size = 0;
  async function flush(): Promise<boolean> {
    if (size === 0) return true;
    const text = held.join('');
    held = [];
    size = 0;
    return written(target, text);
  }
  return {
    flush,
    async line(text) {
      held.push(text, '\n');
      size += text.length + 1;
      return size < BATCH_CHARS || flush();
    },
  };
}
