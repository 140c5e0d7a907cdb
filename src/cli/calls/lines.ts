// Owns reading a file line by line with little memory: a line over the cap is reported and skipped, never held, and bytes
// that are not UTF-8 are not guessed at.
import type { Readable } from 'node:stream';

export type Line = { ok: true; text: string } | { ok: false; why: string };

const NEWLINE = 0x0a;
const RETURN = 0x0d;

function decode(bytes: Buffer): Line {
  const end = bytes.at(-1) === RETURN ? bytes.length - 1 : bytes.length;
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end)) };
  } catch {
    return { ok: false, why: 'the line is not UTF-8 text' };
  }
}

/** Every line, the last one also without a newline. The source is read only as fast as lines are taken. */
export async function* readLines(source: Readable, maxBytes: number): AsyncGenerator<Line, void, undefined> {
  let held: Buffer[] = [];
  let size = 0;
  const take = (): Line => {
    const line: Line =
      size > maxBytes
        ? { ok: false, why: `the line is longer than ${maxBytes} bytes` }
        : decode(held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held));
    held = [];
    size = 0;
    return line;
  };
  const hold = (part: Buffer): void => {
    size += part.length;
    if (size <= maxBytes) held.push(part);
    else held = [];
  };
  for await (const chunk of source as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      hold(chunk.subarray(from, at));
      yield take();
      from = at + 1;
    }
    if (from < chunk.length) hold(chunk.subarray(from));
  }
  if (size > 0) yield take();
}
