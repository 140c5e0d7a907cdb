// Owns the tokens that were handed out on this machine: what is kept of each, and how the book changes. Pure; the file
// lies in the user's own state directory. Of a token only its digest is kept, so the book cannot give one away.
import { z } from 'zod';
import { isoTime } from '../base/clock.ts';
import type { EpochMs } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { names, plainId } from './shape.ts';

export interface TokenRecord {
  id: string;
  /** A token counts in one workspace only. */
  workspace: string;
  tenant: string;
  principal: string;
  roles: string[];
  scopes: string[];
  /** Which program it is for; calls of one client belong together also after a new token. Default: the token's id. */
  client?: string;
  token_sha256: string;
  created_at: string;
  expires_at?: string;
  revoked_at?: string;
}

export interface TokenBook {
  schema_version: 1;
  tokens: TokenRecord[];
}

export const EMPTY_TOKENS: TokenBook = { schema_version: 1, tokens: [] };

const time = z.iso.datetime();

export const tokenBook: z.ZodType<TokenBook> = z.strictObject({
  schema_version: z.literal(1),
  tokens: z
    .array(
      z.strictObject({
        id: plainId,
        workspace: z.string().min(1).max(4096),
        tenant: plainId,
        principal: plainId,
        roles: names,
        scopes: names,
        client: z.exactOptional(plainId),
        token_sha256: z.string().regex(/^[0-9a-f]{64}$/),
        created_at: time,
        expires_at: z.exactOptional(time),
        revoked_at: z.exactOptional(time),
      }),
    )
    .max(10_000),
});

export function addToken(book: TokenBook, record: TokenRecord): TokenBook {
  return { ...book, tokens: [...book.tokens, record] };
}

/** Throws NOT_FOUND for a token that this workspace does not have; revoking twice is revoking once. */
export function revokeToken(
  book: TokenBook,
  { workspace, id }: Pick<TokenRecord, 'workspace' | 'id'>,
  at: EpochMs,
): TokenBook {
  const isIt = (one: TokenRecord): boolean => one.workspace === workspace && one.id === id;
  if (!book.tokens.some(isIt)) throw new RuntimeError('NOT_FOUND', `There is no token ${id} here.`, { id });
  const revoked_at = isoTime(at);
  return { ...book, tokens: book.tokens.map((one) => (isIt(one) ? { revoked_at, ...one } : one)) };
}

export type TokenStatus = 'good' | 'expired' | 'revoked';

export function tokenStatus({ revoked_at, expires_at }: TokenRecord, now: EpochMs): TokenStatus {
  if (revoked_at !== undefined) return 'revoked';
  return expires_at !== undefined && Date.parse(expires_at) <= now ? 'expired' : 'good';
}
