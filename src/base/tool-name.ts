// Owns the portable spelling of a tool's name, which every model API takes: `files_read` for the canonical `files:read`.
import { sha256 } from './digest.ts';

const LONGEST = 64;
const SUFFIX_DIGITS = 8;

/** `server:tool` → `server_tool`; beyond 64 characters cut, with digits of the id's own digest so it stays the same. */
export function portableName(id: string): string {
  const plain = id.replaceAll(/[^A-Za-z0-9_]/g, '_');
  if (plain.length <= LONGEST) return plain;
  return `${plain.slice(0, LONGEST - SUFFIX_DIGITS - 1)}_${sha256(id).slice(0, SUFFIX_DIGITS)}`;
}
