// Owns how a test makes the entry of a token.
import { createHash } from 'node:crypto';
import type { Caller } from '../../src/kernel/identity.ts';
import type { TokenEntry } from '../../src/server/http/credentials.ts';

export function tokenEntry(id: string, token: string, caller: Caller, expiresAt?: number): TokenEntry {
  const sha256 = createHash('sha256').update(token).digest('hex');
  return { id, sha256, caller, ...(expiresAt === undefined ? {} : { expiresAt }) };
}
