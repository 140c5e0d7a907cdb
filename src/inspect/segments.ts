// Owns the words of a closed segment: what vouches for records that were removed, signed outside the store, and its check.
// Whoever can write the store can write such a record too; without the private key nobody can write one that counts.
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { EpochMs } from '../base/clock.ts';
import { canonicalJson, isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { Append, ChainKey, StoredRecord } from '../store/contract.ts';
import { SEGMENT_TYPE } from '../store/contract.ts';

/** All records of `chain` up to `through` were there, whole and verified, and the last of them had `hash`. */
export interface Segment {
  chain: ChainKey;
  through: number;
  hash: string;
  closedAt: EpochMs;
}

/** Signs with a key that lies outside the store. */
export interface SegmentSigner {
  /** Public key as PEM. */
  publicKey: string;
  /** Base64. */
  sign(text: string): string;
}

/** A segment as it was read back, and whether it counts. */
export interface ClosedSegment extends Segment {
  fault?: 'unsigned' | 'unknown_key' | 'signature';
}

export function keyIdOf(publicKey: string): string {
  const der = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 32);
}

function signedText({ chain, through, hash, closedAt }: Segment): string {
  const { tenant, aggregate, id } = chain;
  return canonicalJson({
    kind: SEGMENT_TYPE,
    v: 1,
    chain: { tenant, aggregate, id },
    through,
    hash,
    closedAt,
  });
}

/** The record that vouches for a removal. */
export function segmentRecord(segment: Segment, signer: SegmentSigner, reason: string): Append {
  const { chain, through, hash, closedAt } = segment;
  const { tenant, aggregate, id } = chain;
  return {
    chain: { tenant, aggregate: 'workspace', id: 'workspace' },
    when: { epoch: 0 },
    type: SEGMENT_TYPE,
    at: closedAt,
    evidence: {
      chain: { tenant, aggregate, id },
      through,
      hash,
      closed_at: closedAt,
      reason,
      key_id: keyIdOf(signer.publicKey),
      signature: signer.sign(signedText(segment)),
    },
  };
}

function segmentOf(evidence: JsonObject): Segment | undefined {
  const { chain, through, hash, closed_at: closedAt } = evidence;
  if (!isObject(chain) || typeof through !== 'number' || typeof hash !== 'string') return undefined;
  if (typeof closedAt !== 'number') return undefined;
  return { chain: chain as unknown as ChainKey, through, hash, closedAt };
}

function faultOf(
  segment: Segment,
  evidence: JsonObject,
  keys: ReadonlyMap<string, string>,
): ClosedSegment['fault'] {
  const { signature, key_id: keyId } = evidence;
  if (typeof signature !== 'string' || typeof keyId !== 'string') return 'unsigned';
  const key = keys.get(keyId);
  if (key === undefined) return 'unknown_key';
  const isOurs = verify(null, Buffer.from(signedText(segment)), key, Buffer.from(signature, 'base64'));
  return isOurs ? undefined : 'signature';
}

/** What a record of the workspace chain vouches for; undefined when it is of another kind or says nothing of its own tenant. */
export function readSegment(
  { header, evidence }: Pick<StoredRecord, 'header' | 'evidence'>,
  publicKeys: readonly string[],
): ClosedSegment | undefined {
  if (header.type !== SEGMENT_TYPE || header.chain.aggregate !== 'workspace') return undefined;
  if (evidence.state !== 'present') return undefined;
  const segment = segmentOf(evidence.value);
  if (segment === undefined || segment.chain.tenant !== header.chain.tenant) return undefined;
  const keys = new Map(publicKeys.map((key) => [keyIdOf(key), key]));
  const fault = faultOf(segment, evidence.value, keys);
  return { ...segment, ...(fault === undefined ? {} : { fault }) };
}
