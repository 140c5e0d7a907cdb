// Compares our canonical text with an independent implementation of RFC 8785; every digest stands on it.
import canonicalize from 'canonicalize';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/base/json.ts';
import type { JsonValue } from '../../src/base/json.ts';

test('any JSON value has the text that RFC 8785 gives it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }), (value) => {
      expect(canonicalJson(value as JsonValue)).toBe(canonicalize(value));
    }),
    { numRuns: 2000, seed: 8785 },
  );
});

test('numbers and keys at the edges', () => {
  const value = {
    '\u20ac': 1e21,
    '\r': 1e-7,
    '\u{1f600}': -0,
    '\ufb33': 333333333.33333329,
    '1': 4.5,
    '': [Number.MAX_SAFE_INTEGER, 5e-324, 1.7976931348623157e308],
  };
  expect(canonicalJson(value)).toBe(canonicalize(value));
});

test('what has no JSON form is refused', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 'lone \ud800', undefined]) {
    expect(() => canonicalJson([value] as unknown as JsonValue)).toThrow();
  }
});
