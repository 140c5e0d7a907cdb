// Owns the signature of an export's manifest: who vouches for what it lists, with the key that closes segments too.
import { verify } from 'node:crypto';
import { canonicalJson, isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { keyIdOf } from './segments.ts';
import type { SegmentSigner } from './segments.ts';

export type SealFault = 'manifest_unsigned' | 'manifest_unknown_key' | 'manifest_signature';

function signedText(manifest: JsonObject): string {
  const { signature: _, ...rest } = manifest;
  return canonicalJson({ kind: 'evidence_manifest', manifest: rest });
}

export function sealManifest(manifest: JsonObject, signer: SegmentSigner): JsonObject {
  const signature = { key_id: keyIdOf(signer.publicKey), value: signer.sign(signedText(manifest)) };
  return { ...manifest, signature };
}

/** Why nobody who is known here vouches for the manifest; undefined where somebody does. */
export function sealFault(manifest: JsonObject, publicKeys: readonly string[]): SealFault | undefined {
  const { signature } = manifest;
  if (!isObject(signature)) return 'manifest_unsigned';
  const { key_id: keyId, value } = signature;
  if (typeof keyId !== 'string' || typeof value !== 'string') return 'manifest_unsigned';
  const key = publicKeys.find((one) => keyIdOf(one) === keyId);
  if (key === undefined) return 'manifest_unknown_key';
  const isSound = verify(null, Buffer.from(signedText(manifest)), key, Buffer.from(value, 'base64'));
  return isSound ? undefined : 'manifest_signature';
}
