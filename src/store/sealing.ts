// Owns the sealing of exact payloads: AES-256-GCM with the tenant's key, bound to the place they were written for,
// and the two sources of tenant keys. Keys never lie in the workspace or in the database.
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../base/errors.ts';
import { randomIds } from '../base/ids.ts';
import type { Ids } from '../base/ids.ts';
import type { SaltedText } from './chain.ts';
import type { ChainKey, TenantKeys } from './contract.ts';
import { safeFileName } from './file-name.ts';
import { makePrivateDir, syncDir } from './private-dir.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Characters of a salt, each of half a random byte. */
export const SALT_HEX = 32;
// The first byte of sealed bytes, so that another cipher can follow one day.
const FORM = 1;

// A key made ready for the cipher once instead of at each use; forgotten with the bytes it was made of.
const ready = new WeakMap<Uint8Array, KeyObject>();

function readyKey(key: Uint8Array): KeyObject {
  let found = ready.get(key);
  if (found === undefined) {
    found = createSecretKey(key);
    ready.set(key, found);
  }
  return found;
}

/** The place sealed bytes are bound to: moved to another record or chain, they do not open. */
export function placeOf(chain: ChainKey, seq: number, what: 'payload' | 'snapshot' = 'payload'): string {
  return JSON.stringify([what, chain.tenant, chain.aggregate, chain.id, seq]);
}

/** Seals a payload together with its salt: beside the ciphertext the salt would help to guess short payloads. */
export function seal(key: Uint8Array, nonce: Uint8Array, place: string, payload: SaltedText): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', readyKey(key), nonce);
  cipher.setAAD(Buffer.from(place));
  const body = cipher.update(payload.salt + payload.text, 'utf8');
  cipher.final(); // gives no bytes: the cipher is a stream
  const sealed = Buffer.allocUnsafe(1 + NONCE_BYTES + body.length + TAG_BYTES);
  sealed[0] = FORM;
  sealed.set(nonce, 1);
  sealed.set(body, 1 + NONCE_BYTES);
  sealed.set(cipher.getAuthTag(), 1 + NONCE_BYTES + body.length);
  return sealed;
}

/** What was sealed, or undefined when key, place or bytes are not those of the sealing. */
export function unseal(key: Uint8Array, place: string, sealed: Uint8Array): SaltedText | undefined {
  if (sealed.length < 1 + NONCE_BYTES + SALT_HEX + TAG_BYTES || sealed[0] !== FORM) return undefined;
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', readyKey(key), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const body = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES));
    const text = Buffer.concat([body, decipher.final()]).toString('utf8');
    return { salt: text.slice(0, SALT_HEX), text: text.slice(SALT_HEX) };
  } catch {
    return undefined; // the tag does not fit
  }
}

/** The payload sealed for its place with a fresh nonce; STORE_UNAVAILABLE when the tenant's key was destroyed. */
export function sealFor(tools: SealingTools, tenant: string, place: string, payload: SaltedText): Uint8Array {
  const key = tools.keys.sealingKey(tenant);
  if (key === undefined) {
    throw new RuntimeError('STORE_UNAVAILABLE', 'The sealing key of this tenant has been destroyed.', {
      tenant,
    });
  }
  return seal(key, tools.ids.bytes(NONCE_BYTES), place, payload);
}

export interface SealingTools {
  keys: TenantKeys;
  ids: Ids;
}

/** Tenant keys that can be destroyed: what they sealed is unreadable from then on. */
export interface DestroyableKeys extends TenantKeys {
  destroy(tenant: string): void;
}

/** Keys that live as long as the process; for tests. */
export function memoryTenantKeys(ids: Ids = randomIds): DestroyableKeys {
  const keys = new Map<string, Uint8Array | undefined>();
  return {
    sealingKey(tenant) {
      if (!keys.has(tenant)) keys.set(tenant, ids.bytes(KEY_BYTES));
      return keys.get(tenant);
    },
    destroy: (tenant) => void keys.set(tenant, undefined),
  };
}

/** Writes a whole new file under `path` unless one is there; of several writers exactly one wins. */
export function createOnce(path: string, bytes: Uint8Array, ids: Ids): void {
  const draft = `${path}.${Buffer.from(ids.bytes(8)).toString('hex')}`;
  const handle = openSync(draft, 'wx', 0o600);
  try {
    writeSync(handle, bytes);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  try {
    linkSync(draft, path); // fails when the name is taken, and never shows a half-written key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
}

function readKey(path: string): Uint8Array | undefined {
  if (!existsSync(path)) return undefined;
  const key = readFileSync(path);
  if (key.length === KEY_BYTES) return key;
  throw new RuntimeError('STORE_CORRUPT', `The key file ${path} does not hold ${KEY_BYTES} bytes.`, {
    file: path,
  });
}

// Markers that were found missing since the event loop last went on. Another process may destroy a key at any time, and what
// this one can have heard of that by now it heard before.
const alive = new Set<string>();

function isDestroyed(marker: string): boolean {
  if (alive.has(marker)) return false;
  if (existsSync(marker)) return true;
  if (alive.size === 0) {
    process.nextTick(() => {
      alive.clear();
    });
  }
  alive.add(marker);
  return false;
}

/**
 * One key file per tenant in `dir` (0700, files 0600), made at first use; several processes may ask at once.
 * A destroyed key leaves a marker, so that no new key is made in its place.
 */
export function fileTenantKeys(dir: string, ids: Ids = randomIds): DestroyableKeys {
  const known = new Map<string, Uint8Array>();
  const markers = new Map<string, string>();
  const fileOf = (tenant: string): string => join(dir, `${safeFileName(tenant)}.key`);
  const markerOf = (tenant: string): string => {
    let marker = markers.get(tenant);
    if (marker === undefined) {
      marker = join(dir, `${safeFileName(tenant)}.destroyed`);
      markers.set(tenant, marker);
    }
    return marker;
  };
  return {
    sealingKey(tenant) {
      if (isDestroyed(markerOf(tenant))) return undefined;
      const held = known.get(tenant);
      if (held !== undefined) return held;
      makePrivateDir(dir);
      const path = fileOf(tenant);
      if (!existsSync(path)) createOnce(path, ids.bytes(KEY_BYTES), ids);
      syncDir(dir);
      const key = readKey(path);
      if (key !== undefined) known.set(tenant, key);
      return key;
    },
    destroy(tenant) {
      makePrivateDir(dir);
      createOnce(markerOf(tenant), new Uint8Array(), ids);
      known.delete(tenant);
      alive.delete(markerOf(tenant));
      if (existsSync(fileOf(tenant))) unlinkSync(fileOf(tenant));
      syncDir(dir);
    },
  };
}
