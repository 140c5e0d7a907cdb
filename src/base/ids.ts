// Owns where identifiers and random bytes come from. No other file draws randomness.
import { randomBytes, randomFillSync } from 'node:crypto';

/** What an id names; the prefix a reader sees. */
export type IdKind =
  | 'ses' // session
  | 'run'
  | 'trace'
  | 'call' // tool call
  | 'apr' // approval
  | 'cap' // capability session
  | 'inp' // question of a server
  | 'rcp' // receipt
  | 'inst' // process instance
  | 'esc' // operator item raised by an escalation
  | 'sbx' // sandbox: one confined process
  | 'grant';

export interface Ids {
  /** A new unguessable id, `<kind>_<26 characters>`, 128 random bits; `trace` gives 32 lowercase hex digits. */
  next(kind: IdKind): string;
  /** Fresh random bytes. */
  bytes(count: number): Uint8Array;
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Crockford base 32 of 16 bytes: 26 characters. */
export function base32(bytes: Uint8Array): string {
  let out = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += ALPHABET.charAt((held >> bits) & 31);
    }
  }
  return bits > 0 ? out + ALPHABET.charAt((held << (5 - bits)) & 31) : out;
}

// One call of the system's generator costs microseconds whatever it gives, and a tool call needs a dozen draws. No byte
// is given twice, and what has been given is blanked in the pool.
const POOL_BYTES = 4096;
const pool = { bytes: new Uint8Array(POOL_BYTES), used: POOL_BYTES };

function draw(count: number): Uint8Array {
  if (count > POOL_BYTES / 4) return randomBytes(count);
  if (pool.used + count > POOL_BYTES) {
    randomFillSync(pool.bytes);
    pool.used = 0;
  }
  const drawn = pool.bytes.slice(pool.used, pool.used + count);
  pool.bytes.fill(0, pool.used, pool.used + count);
  pool.used += count;
  return drawn;
}

export const randomIds: Ids = {
  next: (kind) => (kind === 'trace' ? Buffer.from(draw(16)).toString('hex') : `${kind}_${base32(draw(16))}`),
  bytes: draw,
};
