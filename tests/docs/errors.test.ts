import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../src/base/errors.ts';
import { read, ROOT } from './read.ts';

const said = [
  ...read('docs/errors.md').matchAll(/^### `([A-Z_]+)`\n\n(Retryable|Not retryable), exit (\d)\. (.*)/gm),
];

describe('docs/errors.md', () => {
  test('names every code of the source once, and no other', () => {
    expect(said.map(([, code]) => code).sort()).toEqual(Object.keys(ERRORS).sort());
    expect(read('docs/errors.md').match(/^### /gm)).toHaveLength(said.length);
  });

  test('says of each code whether a retry can help, and its exit, as the source does', () => {
    const page = said.map(([, code, retry, exit]) => [code, retry === 'Retryable', Number(exit)]);
    const source = Object.entries(ERRORS).map(([code, entry]) => [code, entry.retryable, entry.exit]);
    expect(page.sort()).toEqual(source.sort());
  });

  test('calls a code reserved only while no source but the catalogue names it', () => {
    const page = read('docs/errors.md').split(/^### /m);
    const reserved = page
      .filter((part) => part.includes('nothing answers with it'))
      .map((part) => /^`([A-Z_]+)`/.exec(part)?.[1] ?? '?');
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && !/^base[\\/]errors\.ts$/.test(file),
    );
    for (const file of files) {
      const text = read(`src/${file}`);
      for (const code of reserved) expect(text, file).not.toContain(code);
    }
  });
});
