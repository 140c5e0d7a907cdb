// Owns how a bearer token becomes a caller: read strictly, never kept, compared by digest. Nothing here or behind it sees
// a token again, so no log, record or error can hold one.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { EpochMs } from '../../base/clock.ts';
import type { Caller } from '../../kernel/identity.ts';

/** One token that is good now, without the token. */
export interface Credential {
  /** Names the token, not its bearer: revoking it ends what hangs on this id. */
  id: string;
  caller: Caller;
  expiresAt?: EpochMs;
}

/** A token as it is kept: by its digest, never itself. */
export interface TokenEntry extends Credential {
  /** SHA-256 of the token, 64 hexadecimal digits. */
  sha256: string;
}

/** Who may call. The server asks on every request, so that a revoked token ends at once. */
export interface TokenVerifier {
  /** Takes what changed outside this process; cheap when nothing did. */
  refresh(): Promise<void>;
  verify(token: string): Credential | undefined;
  /** Whether the token of this credential is still good. */
  holds(id: string): boolean;
  /** Whether there is any token at all. */
  any(): boolean;
}

const LONGEST_TOKEN = 512;
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/** The token of an `Authorization` header; undefined for anything that is not exactly one. */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > LONGEST_TOKEN + 10) return undefined;
  return BEARER.exec(header)?.[1];
}

/** The tokens that are good now; expired ones are not found. */
export interface TokenIndex {
  find(token: string): Credential | undefined;
  holds(id: string): boolean;
  readonly size: number;
}

/**
 * Finds a token without its time telling anything: the lookup key is keyed with bytes of this process, so a near miss
 * cannot be steered, and what it finds is compared in constant time.
 */
export function createTokenIndex(
  entries: readonly TokenEntry[],
  key: Uint8Array,
  now: () => EpochMs,
): TokenIndex {
  const keyed = (digest: Uint8Array): string => createHmac('sha256', key).update(digest).digest('base64');
  const byKey = new Map(entries.map((entry) => [keyed(Buffer.from(entry.sha256, 'hex')), entry] as const));
  const byId = new Map(entries.map((entry) => [entry.id, entry] as const));
  const isGood = (entry: TokenEntry | undefined): entry is TokenEntry =>
    entry !== undefined && (entry.expiresAt === undefined || entry.expiresAt > now());
  return {
    find(token) {
      const digest = createHash('sha256').update(token).digest();
      const entry = byKey.get(keyed(digest));
      if (!isGood(entry) || !timingSafeEqual(digest, Buffer.from(entry.sha256, 'hex'))) return undefined;
      const { sha256: _hash, ...credential } = entry;
      return credential;
    },
    holds: (id) => isGood(byId.get(id)),
    size: entries.length,
  };
}
