// Owns the proof that the keys of JSON text are judged as a reader of the text would read them.
import { expect, test } from 'vitest';
import { parseJson } from '../../src/base/strict-json.ts';

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
