// Owns which text stands in JSON as it is, and so needs no second look: most keys, ids and digests.

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

export function isPlainText(text: string): boolean {
  return PLAIN.test(text);
}
