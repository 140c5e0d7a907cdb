import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/base/digest.ts';
import { journal, json, place, run } from './harness.ts';
import type { Place } from './harness.ts';

/** Every file beside the journal: name, bytes, and when it was written. */
async function stateOf(at: Place): Promise<string[]> {
  const folder = join(at.workspace, '.agent-runtime');
  const names = (await readdir(folder)).filter((name) => !name.endsWith('-shm')).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return `${name} ${sha256(await readFile(path))} ${(await stat(path)).mtimeMs}`;
    }),
  );
}

/** A journal that nobody has open, as a backup or a colleague's copy is. */
async function coldCopy(change: (bytes: Buffer) => void = () => undefined): Promise<Place> {
  const at = await place();
  const { store } = await journal(at);
  await store.close();
  const cold = await place();
  await mkdir(join(cold.workspace, '.agent-runtime'));
  const file = join('.agent-runtime', 'runtime.db');
  await copyFile(join(at.workspace, file), join(cold.workspace, file));
  const bytes = await readFile(join(cold.workspace, file));
  change(bytes);
  await writeFile(join(cold.workspace, file), bytes);
  return cold;
}

test('verifying reads a journal that is in use and changes nothing of it', async () => {
  const at = await place();
  const { call } = await journal(at);
  const before = await stateOf(at);
  const report = await json(at, ['evidence', 'verify']);
  expect(report).toMatchObject({ ok: true });
  expect(await stateOf(at)).toEqual(before);
  await call('look', { q: 5 });
  const later = await json(at, ['evidence', 'verify']);
  expect(Number(later.records)).toBeGreaterThan(Number(report.records));
});

test('verifying a copy leaves it as it was and makes no file beside it', async () => {
  const at = await coldCopy();
  const before = await stateOf(at);
  expect(before).toHaveLength(1);
  expect(await json(at, ['evidence', 'verify'])).toMatchObject({ ok: true });
  expect(await stateOf(at)).toEqual(before);
  expect(await readdir(join(at.workspace, '.agent-runtime'))).toEqual(['runtime.db']);
});

test('verifying a damaged copy names the fault and leaves the damage as it was', async () => {
  const at = await coldCopy((bytes) => {
    const found = bytes.indexOf('"call_id"');
    expect(found).toBeGreaterThan(0);
    bytes[found + 1] = 'C'.charCodeAt(0);
  });
  const before = await stateOf(at);
  const report = await json(at, ['evidence', 'verify'], 1);
  expect(report).toMatchObject({ ok: false });
  expect(await stateOf(at)).toEqual(before);
  expect(await readdir(join(at.workspace, '.agent-runtime'))).toEqual(['runtime.db']);
});

test('a file that is no journal is refused untouched', async () => {
  const at = await coldCopy((bytes) => bytes.write('SQLite format 4', 0));
  const before = await stateOf(at);
  const ran = await run(at, ['evidence', 'verify']);
  expect(ran.code).toBe(5);
  expect(ran.err).toContain('STORE_CORRUPT');
  expect(await stateOf(at)).toEqual(before);
});
