// Owns how a tool's exact result is kept: sealed in its record, and above INLINE_BYTES in a blob that the sealed payload
// refers to.
//
// B1: the blob is encrypted with a key of its own that lies only in the sealed payload: who erases the payload, or destroys
//     the tenant's key, has erased the result. So no two results share a blob, and erasing one leaves every other.
// B2: the blob's name is the digest of its bytes, and the record's hash covers the name: another blob is found out.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { sha256 } from '../../base/digest.ts';
import type { Ids } from '../../base/ids.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { BlobWrite, ChainKey, Payload, Store } from '../../store/contract.ts';
import type { ToolOutcome } from '../call.ts';

export interface StoredResult {
  /** As JSON writes it. */
  json: string;
  sealed: JsonObject;
  blobs: BlobWrite[];
}

const INLINE_BYTES = 16 * 1024;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
// Every key is used once (B1), so the nonce may be fixed.
const NONCE = Buffer.alloc(12);
// No tool result has it: those have `content` at least.
const REFERENCE = 'result_blob';

function nameOf(bytes: Uint8Array): string {
  return `result/${sha256(bytes)}`;
}

/** What the outcome commit writes for a result. */
export function storedResult(tenant: string, outcome: ToolOutcome, ids: Pick<Ids, 'bytes'>): StoredResult {
  const { content, structured } = outcome;
  const value: JsonObject = structured === undefined ? { content } : { content, structured };
  const json = JSON.stringify(value);
  if (json.length <= INLINE_BYTES && Buffer.byteLength(json) <= INLINE_BYTES) {
    return { json, sealed: value, blobs: [] };
  }
  const text = Buffer.from(json);
  const secret = ids.bytes(KEY_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secret, NONCE);
  const bytes = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  const key = nameOf(bytes);
  const reference = { key, secret: Buffer.from(secret).toString('base64'), bytes: text.length };
  return { json, sealed: { [REFERENCE]: reference }, blobs: [{ tenant, key, bytes }] };
}

function opened(bytes: Uint8Array, secret: string): JsonValue {
  const cipher = createDecipheriv('aes-256-gcm', Buffer.from(secret, 'base64'), NONCE, {
    authTagLength: TAG_BYTES,
  });
  cipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  const text = Buffer.concat([cipher.update(bytes.subarray(0, bytes.length - TAG_BYTES)), cipher.final()]);
  return JSON.parse(text.toString('utf8')) as JsonValue;
}

/** The whole result that the record at `seq` sealed, wherever it lies. */
export async function readResult(store: Store, chain: ChainKey, seq: number): Promise<Payload<JsonValue>> {
  const sealed = await store.unseal(chain, seq);
  if (sealed.state !== 'present' || !isObject(sealed.value)) return sealed;
  const reference = sealed.value[REFERENCE];
  if (!isObject(reference)) return sealed;
  const { key, secret } = reference as { key: string; secret: string };
  const bytes = await store.blob(chain.tenant, key);
  if (bytes === undefined || nameOf(bytes) !== key) return { state: 'unreadable' };
  return { state: 'present', value: opened(bytes, secret) };
}
