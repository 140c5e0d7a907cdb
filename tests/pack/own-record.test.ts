// What is told of a record that this process wrote is what reading it back would tell.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/base/json.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { asRead } from '../../src/pack/sessions/own-record.ts';

const documents = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ noUnicodeString: false }));

test('of any document', () => {
  fc.assert(
    fc.property(documents, (document) => {
      const value = document as JsonObject;
      expect(JSON.stringify(asRead(value))).toBe(JSON.stringify(JSON.parse(canonicalJson(value))));
    }),
    { seed: 20261122, numRuns: 2_000 },
  );
});

test('of keys and values that an assignment or a text would lose', () => {
  const value = JSON.parse('{"__proto__":{"b":1,"a":[-0,{"z":1,"y":null}]},"10":1,"9":2}') as JsonObject;
  const read = asRead({ ...value, ['gone']: undefined as never, ['__proto__']: value['__proto__']! });
  expect(JSON.stringify(read)).toBe('{"9":2,"10":1,"__proto__":{"a":[0,{"y":null,"z":1}],"b":1}}');
  expect(Object.is(asRead({ n: -0 }).n, 0)).toBe(true);
  expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
});

test('as a copy of its own', () => {
  const value = { list: [{ text: 'a' }] };
  const read = asRead(value);
  value.list[0]!.text = 'changed';
  expect(read).toEqual({ list: [{ text: 'a' }] });
});
