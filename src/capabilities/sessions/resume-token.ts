// Owns what a resume token looks like: the session it belongs to and 256 random bits. Only a digest of it is kept.
import { sha256 } from '../../base/digest.ts';
import type { Ids } from '../../base/ids.ts';

export interface MintedToken {
  token: string;
  digest: string;
}

const SHAPE = /^(cap_[0-9a-z]{26})\.([A-Za-z0-9_-]{43})$/;

export function mintResumeToken(ids: Ids, sessionId: string): MintedToken {
  const token = `${sessionId}.${Buffer.from(ids.bytes(32)).toString('base64url')}`;
  return { token, digest: tokenDigest(token) };
}

export function tokenDigest(token: string): string {
  return `sha256:${sha256(token)}`;
}

/** Undefined for anything that we never minted. */
export function sessionOfToken(token: string): string | undefined {
  return SHAPE.exec(token)?.[1];
}
