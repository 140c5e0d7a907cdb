import { expect, test } from 'vitest';
import { HTTP_DEFAULTS } from '../http-defaults.ts';
import { read, table } from './read.ts';

test('docs/http.md has every bound with its default', () => {
  const told = Object.fromEntries(
    table(read('docs/http.md'), 'key').map(([key = '', value = '']) => [key.replaceAll('`', ''), value]),
  );
  const snake = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const real = Object.entries(HTTP_DEFAULTS).map(([key, value]) => [
    snake(key),
    Array.isArray(value) ? 'none' : String(value),
  ]);
  expect(told).toEqual(Object.fromEntries(real));
});

test('configs/runtime.yaml shows them as they are', () => {
  const text = read('configs/runtime.yaml');
  for (const [, key = '', value = ''] of text.matchAll(/^ {2}# {3}(\w+): (\S+)/gm)) {
    const camel = key.replaceAll(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
    expect({ key, value }).toEqual({ key, value: JSON.stringify(HTTP_DEFAULTS[camel as 'maxHeaders']) });
  }
  expect(text.match(/^ {2}# {3}\w+: /gm)).toHaveLength(Object.keys(HTTP_DEFAULTS).length);
});
