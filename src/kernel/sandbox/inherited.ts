// Owns the finding of descriptors that our own parent left open and that every child of ours would inherit: Node opens
// its own so that they are not passed on, but marks those it was born with only up to the first gap.
import { readdirSync, readFileSync } from 'node:fs';

const CLOSE_ON_EXEC = 0o2000000;
// A child's descriptor table is laid out up to the highest one, so a wild number is not followed.
const MAX_DESCRIPTOR = 4096;

/** Above standard error. Linux says it in /proc; elsewhere nothing is found, and the limit is in spawn.ts. */
export function inheritedDescriptors(): number[] {
  const found: number[] = [];
  let names: string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return found;
  }
  for (const name of names) {
    const descriptor = Number(name);
    if (descriptor <= 2 || descriptor > MAX_DESCRIPTOR) continue;
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) found.push(descriptor);
    } catch {
      // Closed in the meantime: the directory's own descriptor, for one.
    }
  }
  return found;
}
