// Owns ids and bytes that are the same in every run of a test.
import { createHash } from 'node:crypto';
import { base32 } from '../base/ids.ts';
import type { Ids } from '../base/ids.ts';

/** Ids drawn from a seed: the n-th id of a seed is always the same, and still looks like a real one. */
export function createFixedIds(seed = 'fixed'): Ids {
  let drawn = 0;
  const draw = (length: number): Buffer => {
    const blocks: Buffer[] = [];
    for (let have = 0; have < length; have += 32) {
      blocks.push(createHash('sha256').update(`${seed}:${drawn++}`).digest());
    }
    return Buffer.concat(blocks).subarray(0, length);
  };
  return {
    next: (kind) => (kind === 'trace' ? draw(16).toString('hex') : `${kind}_${base32(draw(16))}`),
    bytes: (count) => draw(count),
  };
}
