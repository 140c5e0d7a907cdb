// Owns the proof that readable documents are strict, atomic, private and never lose an update.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openDocument, safeFileName } from '../../src/store/documents/document.ts';
import type { Document } from '../../src/store/documents/document.ts';
import { verifies } from '../e2e/verifies.ts';
import { startChild, testDir } from './support.ts';

const schema = z.strictObject({ schema_version: z.literal(1), items: z.array(z.string()) });
type Items = z.infer<typeof schema>;

function open(path: string): Document<Items> {
  return openDocument({ path, schema, empty: { schema_version: 1, items: [] } });
}

const add = (item: string) => (current: Items) => ({ ...current, items: [...current.items, item] });

describe('a document', () => {
  test('is empty before its first update, then readable text that only its user can read', async () => {
    const path = join(testDir(), 'workflow', `${safeFileName('../ses_A')}.json`);
    const document = open(path);
    expect(await document.read()).toEqual({ schema_version: 1, items: [] });
    expect(await document.update(add('a'))).toEqual({ schema_version: 1, items: ['a'] });
    expect(readFileSync(path, 'utf8')).toBe('{\n  "schema_version": 1,\n  "items": [\n    "a"\n  ]\n}\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, '..'))).toEqual(['~2e~2e~2fses_~41.json']);
    expect(await open(path).read()).toEqual({ schema_version: 1, items: ['a'] });
  });

  test('that cannot be read is named, told apart from a newer one, and kept', async () => {
    const dir = testDir();
    const cases = [
      ['garbled', '{"schema_version":1,"items":[', 'STORE_CORRUPT'],
      ['empty', '', 'STORE_CORRUPT'],
      ['nul', '\0'.repeat(50), 'STORE_CORRUPT'],
      ['twice', '{"schema_version":1,"items":[],"items":["x"]}', 'STORE_CORRUPT'],
      ['unknown', '{"schema_version":1,"items":[],"more":1}', 'STORE_CORRUPT'],
      ['newer', '{"schema_version":2,"things":[]}', 'STORE_FUTURE_VERSION'],
    ] as const;
    for (const [name, text, code] of cases) {
      const path = join(dir, `${name}.json`);
      writeFileSync(path, text);
      for (const call of [open(path).read(), open(path).update(add('a'))]) {
        await expect(call).rejects.toMatchObject({ code, details: { file: path } });
      }
      expect(readFileSync(path, 'utf8')).toBe(text);
    }
    expect(readdirSync(dir)).toHaveLength(cases.length);
  });

  test('is not changed by an update that fails or that could not be read back', async () => {
    const path = join(testDir(), 'a.json');
    const document = open(path);
    await document.update(add('a'));
    const thrown = document.update(() => {
      throw new RangeError('mine');
    });
    await expect(thrown).rejects.toThrow('mine');
    const wrong = document.update((current) => ({ ...current, extra: 1 }));
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(await document.update(add('b'))).toEqual({ schema_version: 1, items: ['a', 'b'] });
  });

  test('whose directory cannot be made is unavailable', async () => {
    const dir = testDir();
    writeFileSync(join(dir, 'file'), '');
    const update = open(join(dir, 'file', 'a.json')).update(add('a'));
    await expect(update).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

describe('updates at the same time', () => {
  test('through one and through several handles are all kept', async () => {
    const path = join(testDir(), 'a.json');
    const handles = [open(path), open(path), open(path)];
    await Promise.all(Array.from({ length: 45 }, (_, n) => handles[n % 3]!.update(add(`i${n}`))));
    const { items } = await open(path).read();
    expect(new Set(items).size).toBe(45);
    expect(readdirSync(join(path, '..'))).toEqual(['a.json']);
  });

  verifies(
    { partial: ['WF-09'] },
    'by several processes are all kept, and a kill -9 does not lock the document',
    async () => {
      const path = join(testDir(), 'a.json');
      const children = ['x', 'y', 'z'].map((name) => startChild('add-loop.mjs', [path, name, '40']));
      await children[0]!.said('ack x5');
      children[0]!.process.kill('SIGKILL');
      await Promise.all(children.map(({ ended }) => ended));
      const acknowledged = children.flatMap(({ lines }) => lines.map((line) => line.slice(4)));
      const { items } = await open(path).update(add('after'));
      expect(acknowledged.filter((item) => !items.includes(item))).toEqual([]);
      expect(new Set(items).size).toBe(items.length);
    },
  );
});

describe('the lock', () => {
  const lockOf = (path: string, over: object): void => {
    const holder = { pid: process.pid, started: '', host: hostname(), token: 'ab', ...over };
    writeFileSync(`${path}.lock`, JSON.stringify(holder));
  };

  test('of a process that is gone, or whose number was given again, or torn, is broken at once', async () => {
    const path = join(testDir(), 'a.json');
    for (const leave of [
      () => lockOf(path, { pid: 2 ** 22 + 1 }),
      () => lockOf(path, { started: '1' }),
      () => writeFileSync(`${path}.lock`, ''),
    ]) {
      leave();
      await open(path).update(add('a'));
    }
    expect((await open(path).read()).items).toHaveLength(3);
    expect(readdirSync(join(path, '..'))).toEqual(['a.json']);
  });

  test('is broken also where somebody ended while breaking it, and waited for while somebody lives who does', async () => {
    const path = join(testDir(), 'a.json');
    const gone = { pid: 2 ** 22 + 1 };
    const maker = (over: object): string =>
      JSON.stringify({ pid: process.pid, started: '', host: hostname(), token: 'cd', ...over });
    for (const left of ['', maker(gone)]) {
      lockOf(path, gone);
      writeFileSync(`${path}.lock.ab.break`, left);
      await open(path).update(add('a'));
    }
    lockOf(path, gone);
    writeFileSync(`${path}.lock.ab.break`, maker({}));
    const update = open(path).update(add('a'));
    const early = await Promise.race([update, new Promise((resolve) => setImmediate(resolve, 'waits'))]);
    rmSync(`${path}.lock.ab.break`);
    expect([early, (await update).items.length]).toEqual(['waits', 3]);
    expect(readdirSync(join(path, '..'))).toEqual(['a.json']);
  });

  test('of a live process is never broken, and the refusal names the file', async () => {
    const path = join(testDir(), 'a.json');
    mkdirSync(join(path, '..'), { recursive: true });
    const child = startChild('add-loop.mjs', [path, 'x', '1', 'hold']);
    await child.said('holds');
    const update = open(path).update(add('a'));
    await expect(update).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      details: { file: `${path}.lock` },
    });
    child.process.kill('SIGKILL');
    await child.ended;
    expect((await open(path).update(add('a'))).items).toEqual(['a']);
  });
});
