// Owns how an id becomes a file name. No id reaches a path in any other way.
import { sha256 } from '../base/digest.ts';

// File systems stop at 255 bytes; names get suffixes (.json, .lock, a temporary number) after this.
const LONGEST = 160;
const PLAIN = /^[a-z0-9_-]$/;
// Names that Windows gives to devices, whatever the extension.
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

function escape(byte: number): string {
  return `~${byte.toString(16).padStart(2, '0')}`;
}

/**
 * A file name for any id: different ids give different names, also where case is not told apart; no separator, no
 * leading dot. Lower-case ids stay readable; every other byte becomes `~hh`; a long id ends in its digest.
 */
export function safeFileName(id: string): string {
  let name = '';
  for (const byte of Buffer.from(id)) {
    const char = String.fromCharCode(byte);
    name += PLAIN.test(char) ? char : escape(byte);
  }
  if (name === '') return '~';
  if (DEVICE.test(name)) return escape(name.charCodeAt(0)) + name.slice(1);
  // `~~` never stands in a name that was not cut, so a cut name cannot meet another one.
  return name.length <= LONGEST ? name : `${name.slice(0, LONGEST - 66)}~~${sha256(id)}`;
}
