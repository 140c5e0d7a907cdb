import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { documents, quoted, read, ROOT, table } from './read.ts';

/** Fenced blocks have their own tests. */
const prose = (path: string): string => read(path).replaceAll(/^```[\s\S]*?^```$/gm, '');

test('links of every document lead somewhere', () => {
  for (const path of documents()) {
    for (const [, target = ''] of prose(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https:/.test(target)) continue;
      const [file = ''] = target.split('#');
      expect(existsSync(join(ROOT, dirname(path), file)), `${path}: ${target}`).toBe(true);
    }
  }
});

test('files that a document names are there', () => {
  for (const path of documents()) {
    for (const name of quoted(prose(path))) {
      if (!/^(?:src|tests|configs|docs|decisions|scripts|bench)\/[\w./-]+$/.test(name)) continue;
      expect(existsSync(join(ROOT, name)), `${path}: ${name}`).toBe(true);
    }
  }
});

test('decisions are numbered without gaps, listed, and have their three parts', () => {
  const files = readdirSync(join(ROOT, 'decisions'))
    .filter((name) => name !== 'README.md')
    .sort();
  const index = read('decisions/README.md');
  files.forEach((name, at) => {
    const number = String(at + 1).padStart(4, '0');
    const text = read(`decisions/${name}`);
    const title = /^# (\d{4}) (.+)$/m.exec(text);
    expect(name.slice(0, 4), name).toBe(number);
    expect(index).toContain(`[${number}](${name}) ${title?.[2] ?? '?'}`);
    expect(text.match(/^## .+$/gm)).toEqual(['## Context', '## Decision', '## Consequences']);
  });
});

describe('ARCHITECTURE.md', () => {
  const page = read('ARCHITECTURE.md');
  const rooms = table(page, 'room');
  const words = new Map(
    [...page.matchAll(/_(\w+)_: ([\w, ]+)\./g)].map(([, word = '', list = '']) => [word, list]),
  );

  /** `_joined_, testing` as the rooms it stands for. */
  const expand = (cell: string): string[] =>
    cell
      .replace('types of ', '')
      .split(/[,;] /)
      .flatMap((name) => {
        const list = words.get(name.replaceAll('_', ''));
        return list === undefined ? [name.replaceAll('_', '')] : expand(list);
      });

  /** Only rooms that exist: a line for a room of tomorrow allows nothing today. */
  const known = new Set(['nothing', 'scripted', ...rooms.map(([room = '']) => quoted(room)[0])]);
  const existing = (names: readonly string[]): string[] =>
    [...new Set(names)].filter((name) => known.has(name)).sort();

  test('every folder of the source is in a room', () => {
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `src/${entry.name}`);
    const named = rooms.flatMap(([, files = '']) => quoted(files));
    for (const folder of folders) expect(named).toContain(folder);
  });

  test('who may import whom is what the machine checks', async () => {
    const file = pathToFileURL(join(ROOT, 'configs', 'tools', 'layers.mjs')).href;
    const { default: layers } = (await import(file)) as {
      default: { forbidden: { name: string; comment: string }[] };
    };
    const comments = new Map(
      layers.forbidden
        .filter(({ name, comment }) => name.startsWith('room-') && comment.includes('may import only: '))
        .map(({ name, comment }) => [
          name.slice('room-'.length),
          comment.split('may import only: ')[1] ?? '',
        ]),
    );
    for (const [room = '', , , may = ''] of rooms) {
      const [name = ''] = quoted(room);
      expect(existing(expand(may)), name).toEqual(existing((comments.get(name) ?? '?').split(', ')));
    }
  });
});
