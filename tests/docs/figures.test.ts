// Owns the proof that the page of figures tells of every figure there is, the missed ones too.
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { read } from './read.ts';

test('every figure of the bench stands in docs/figures.md', () => {
  const page = read('docs/figures.md');
  const figures = readdirSync(new URL('../../bench/figures/', import.meta.url)).map((file) =>
    basename(file, '.mjs'),
  );
  expect(figures.length).toBeGreaterThan(10);
  expect(figures.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
