// Owns the reading of a child's standard error: always drained, cut into short lines, and limited in lines a second,
// so that neither memory nor our log grows with what a child prints.
import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { showCut } from '../../base/text.ts';

const LINE_CHARS = 2000;
const LINES_PER_SECOND = 50;
const WINDOW_MS = 1000;

export function drainStderr(stream: Readable, clock: Clock, onLine: (line: string) => void): void {
  let partial = '';
  let windowStart = clock.monotonic();
  let inWindow = 0;
  let dropped = 0;

  const hand = (line: string): void => {
    const now = clock.monotonic();
    if (now - windowStart >= WINDOW_MS) {
      if (dropped > 0) onLine(`(${dropped} lines left out)`);
      windowStart = now;
      inWindow = 0;
      dropped = 0;
    }
    if (inWindow >= LINES_PER_SECOND) dropped++;
    else {
      inWindow++;
      onLine(showCut(line.trimEnd(), LINE_CHARS));
    }
  };

  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (partial + chunk).split('\n');
    // One character beyond the limit is kept, so that the cut is seen and said.
    partial = (lines.pop() ?? '').slice(0, LINE_CHARS + 1);
    for (const line of lines) if (line.trim() !== '') hand(line);
  });
  stream.on('end', () => {
    if (partial.trim() !== '') hand(partial);
    if (dropped > 0) onLine(`(${dropped} lines left out)`);
  });
  // A broken pipe here says nothing that the exit does not say.
  stream.on('error', () => undefined);
}
