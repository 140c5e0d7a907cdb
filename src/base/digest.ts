// Owns how bytes become digests. Canonical text is base/json.ts; this file never serialises.
import { hash, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from './json.ts';
import type { JsonValue } from './json.ts';

/** SHA-256 as 64 lowercase hex digits. */
export function sha256(bytes: string | Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** SHA-256 over the RFC 8785 form of a value, written `sha256:<hex>`. */
export function digestJson(value: JsonValue): string {
  return `sha256:${sha256(canonicalJson(value))}`;
}

/** Compares two strings in time that depends on their lengths only. */
export function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
