// Owns writing many lines as fast as the reader takes them, and no faster.
import { once } from 'node:events';
import type { Writable } from 'node:stream';

const BATCH_CHARS = 64 * 1024;

export interface Sink {
  line(text: string): Promise<void>;
  flush(): Promise<void>;
}

export function createSink(target: Writable): Sink {
  let held: string[] = [];
  let size = 0;
  async function flush(): Promise<void> {
    if (size === 0) return;
    const text = held.join('');
    held = [];
    size = 0;
    if (!target.write(text)) await once(target, 'drain');
  }
  return {
    flush,
    async line(text) {
      held.push(text, '\n');
      size += text.length + 1;
      if (size >= BATCH_CHARS) await flush();
    },
  };
}
