// Owns the proof that the keys of JSON text are judged as a reader of the text would read them.
import { expect, test } from 'vitest';
import { closingQuote, parseJson } from '../../src/base/strict-json.ts';

test.each([
  ['a quote that is escaped', String.raw`"a\"b",`, 5],
  ['a backslash that is', String.raw`"a\\",`, 4],
  ['a backslash and a quote that are', String.raw`"a\\\"b",`, 7],
  ['backslashes and nothing else', String.raw`"\\\\",`, 5],
  ['no other quote', '"ab', 3],
  ['no quote but an escaped one', String.raw`"ab\"`, 5],
])('a text with %s ends where its quote stands alone', (_what, text, end) => {
  expect(closingQuote(text, 0)).toBe(end);
});

test.each([
  ['with an escaped quote', String.raw`{"a\"":1,"a\"":2}`],
  ['with an escaped backslash', String.raw`{"a\\":1,"a\\":2}`],
  ['with a letter escaped in one of them', String.raw`{"ab":1,"\u0061b":2}`],
  ['after another object has ended', String.raw`{"a":1,"b":{"c":[]},"a":2}`],
])('a key that stands twice is refused %s', (_how, text) => {
  expect(() => parseJson(text)).toThrow('stands twice in one object');
});

test.each([
  ['{"a":1,"\\u0061":2}', 'the key "a" stands twice in one object'],
  ['{"a b":1,"a b":2}', 'the key "a b" stands twice in one object'],
  ['{"é":1,"é":2}', 'the key "é" stands twice in one object'],
  ['{"a', 'the text is not JSON: a key is malformed'],
  ['{"a\\', 'the text is not JSON: a key is malformed'],
  ['{"a\nb":1}', 'the text is not JSON: a key is malformed'],
])('%j is refused for its key', (text, why) => {
  expect(() => parseJson(text)).toThrow(why);
});
