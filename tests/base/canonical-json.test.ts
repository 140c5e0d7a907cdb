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

/** What was written before shapes were kept, as plainly as it can be said: the same answers are demanded. */
function plainly(value: unknown): string {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new Error('value holds a lone surrogate, which has no canonical form');
    return JSON.stringify(value);
  }
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value === 'boolean' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => plainly(item)).join(',')}]`;
  if (typeof value !== 'object') throw new Error('value has no JSON form');
  const members = value as Record<string, unknown>;
  const present = Object.keys(members)
    .sort()
    .filter((key) => members[key] !== undefined);
  return `{${present.map((key) => `${plainly(key)}:${plainly(members[key])}`).join(',')}}`;
}

function answer(write: () => string): string {
  try {
    return write();
  } catch (thrown) {
    return `refused: ${(thrown as Error).message}`;
  }
}

const keys = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'aa',
    'B',
    '',
    '10',
    '9',
    '1',
    '__proto__',
    'toString',
    '"',
    '\n',
    '\u00e9',
    '\ud800',
  ),
  fc.string({ unit: 'grapheme' }),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\ud83d', '\udc00x', '\u007f', '\u2028', '\\', '\ud83d\ude00'),
    fc.double(),
    fc.constantFrom(-0, 0, Number.NaN, Number.NEGATIVE_INFINITY, 1e21, 1e-7, 2 ** 53, 5e-324),
    fc.constantFrom<unknown>(null, true, false, undefined, 1n, Symbol.iterator),
    fc.array(tie('tree'), { maxLength: 4 }),
    // Members in any order, so that one set of keys comes as many lists.
    fc
      .uniqueArray(fc.tuple(keys, tie('tree')), { selector: ([key]) => key, maxLength: 9 })
      .map((members) => Object.fromEntries(members)),
  ),
}));

test('whatever is given has the same answer as before, kept shapes or not', () => {
  let written = 0;
  fc.assert(
    fc.property(tree, (value) => {
      const text = answer(() => canonicalJson(value as JsonValue));
      expect(text).toBe(answer(() => plainly(value)));
      if (!text.startsWith('refused')) written++;
    }),
    { numRuns: 3000, seed: 1122 },
  );
  expect(written).toBeGreaterThan(500);
});

test('a shape keeps its order beside others that begin alike, and when more come than are kept', () => {
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 600; n++) {
      const value = { [`first_${n % 300}`]: 1, z: n, [`n${n}`]: undefined, m: [n], '7': { b: 1, a: 2 } };
      expect(canonicalJson(value as unknown as JsonValue)).toBe(plainly(value));
    }
  }
  const long = { b: 1, ['k'.repeat(5000)]: 2, a: 3 };
  expect(canonicalJson(long)).toBe(plainly(long));
  expect(canonicalJson({ ...long, c: 4 })).toBe(plainly({ ...long, c: 4 }));
});
