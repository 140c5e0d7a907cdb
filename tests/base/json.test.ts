// Owns the proof that canonical text is RFC 8785, and that random draws are never the same bytes twice.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { canonicalJson } from '../../src/base/json.ts';
import type { JsonValue } from '../../src/base/json.ts';

describe('canonical text', () => {
  test('is that of the examples in RFC 8785', () => {
    const numbers = [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001];
    expect(canonicalJson(numbers)).toBe('[333333333.3333333,1e+30,4.5,0.002,1e-27]');
    expect(canonicalJson([-0, 1e21, 1e-7, 5e-324])).toBe('[0,1e+21,1e-7,5e-324]');
    expect(canonicalJson('€$\u000f\nA\'B"\\\\"/')).toBe(String.raw`"€$\u000f\nA'B\"\\\\\"/"`);
    expect(canonicalJson([null, true, false])).toBe('[null,true,false]');
    // Sorted by UTF-16 code units: the emoji's surrogates come before U+FB33.
    const keys = ['€', '\r', '\ufb33', '1', '😀', '\u0080', 'ö'];
    const sorted = canonicalJson(Object.fromEntries(keys.map((key) => [key, 0])));
    expect(Object.keys(JSON.parse(sorted) as object)).toEqual([
      '1',
      '\r',
      '\u0080',
      'ö',
      '€',
      '😀',
      '\ufb33',
    ]);
  });

  test('leaves out what is undefined and refuses what has no form', () => {
    const open = { b: 1, a: undefined } as unknown as JsonValue;
    expect(canonicalJson(open)).toBe('{"b":1}');
    for (const value of [undefined, NaN, Infinity, () => 1, 1n, 'a\ud800', { 'a\udc00': 1 }]) {
      expect(() => canonicalJson(value as JsonValue)).toThrow(
        expect.objectContaining({ code: 'INVALID_INPUT' }),
      );
    }
  });

  test('says the same value, whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (made) => {
        const value = JSON.parse(JSON.stringify(made)) as JsonValue;
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(value);
        expect(canonicalJson(turned(value))).toBe(text);
      }),
    );
  });
});

function turned(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, turned(member)]),
  );
}

test('random draws are as long as asked, their own, and never repeated', () => {
  const drawn = Array.from({ length: 2000 }, () => randomIds.bytes(16));
  const texts = drawn.map((bytes) => Buffer.from(bytes).toString('hex'));
  expect(new Set(texts).size).toBe(2000);
  expect(texts).not.toContain('0'.repeat(32));
  for (const count of [0, 1, 12, 32, 1024, 1025, 5000]) expect(randomIds.bytes(count)).toHaveLength(count);
  // What comes later does not change what was given.
  expect(drawn.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(texts);
  expect(randomIds.next('ses')).toMatch(/^ses_[0-9a-z]{26}$/);
  expect(randomIds.next('trace')).toMatch(/^[0-9a-f]{32}$/);
});
