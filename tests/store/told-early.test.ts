// What a store does while a commit that was told early still waits for the next: everything that follows finds it done.
import { join } from 'node:path';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { Series } from '../../src/base/series.ts';
import type { Store } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { append, AT, numbers, row, session } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const keys = memoryTenantKeys();

/** Two records of which the second is not committed yet. */
async function early(path: string): Promise<Store> {
  const store = await testStore(path, keys);
  await store.commit({ appends: [append(session('a'))] });
  await store.commit({
    appends: [append(session('a'), { evidence: { n: 2 }, sealed: { secret: 2 } })],
    rows: [{ row: row('a') }],
    flush: 'with_next',
  });
  return store;
}

test('a copy has it', async () => {
  const dir = testDir();
  const store = await early(join(dir, 'runtime.db'));
  await store.backup(join(dir, 'copy.db'));
  const copy = await testStore(join(dir, 'copy.db'), keys);
  expect(numbers(await copy.read(session('a')))).toEqual([1, 2]);
  expect(await copy.row('request', 'acme', 'a')).toMatchObject({ version: 1 });
});

test('its payload is erased with the rest', async () => {
  const store = await early(join(testDir(), 'runtime.db'));
  await store.erase(session('a'), 'all', AT, 'test');
  expect(numbers(await store.read(session('a'), 1, 2))).toEqual(['erased', 'erased']);
  expect(await store.unseal(session('a'), 2)).toEqual({ state: 'erased' });
});

test('its record can be the last one that is removed', async () => {
  const store = await testStore(join(testDir(), 'runtime.db'), keys);
  const two = [append(session('a')), append(session('a'))];
  const told = await store.commit({ appends: two, flush: 'with_next' });
  if (!told.ok) throw new Error('refused');
  const head = told.heads[0]!;
  const vouch = append(
    { tenant: 'acme', aggregate: 'workspace', id: 'workspace' },
    { type: 'segment_closed' },
  );
  expect(await store.retire(session('a'), head, AT, { appends: [vouch] })).toBe(true);
  expect(await store.head(session('a'))).toMatchObject({ seq: 2, hash: head.hash });
});

test('a store that is closed at once keeps it', async () => {
  const path = join(testDir(), 'runtime.db');
  await (await early(path)).close();
  const again = await testStore(path, keys);
  expect(numbers(await again.read(session('a')))).toEqual([1, 2]);
});

test('a series reads it as it is, and is settled when others see it', async () => {
  const path = join(testDir(), 'runtime.db');
  const store = await early(path);
  const others = await testStore(path, keys);
  const series = new Series();
  expect(await store.head(session('a'), series)).toMatchObject({ seq: 2 });
  expect(await store.row('request', 'acme', 'a', series)).toMatchObject({ version: 1 });
  expect(await others.head(session('a'))).toMatchObject({ seq: 1 });
  await series.settled();
  await new Promise(setImmediate); // one look at others' work serves for a turn of the event loop
  expect(await others.head(session('a'))).toMatchObject({ seq: 2 });
});

test('who waits for a record hears of it, though nothing follows', async () => {
  const clock = createFakeClock();
  const path = join(testDir(), 'runtime.db');
  const store = await openSqliteStore({ path, keys, clock, ids: randomIds });
  const heard = store.changed(0, new AbortController().signal);
  await store.commit({ appends: [append(session('a'))], flush: 'with_next' });
  clock.advance(200);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  clock.advance(200);
  expect(await heard).toBe(true);
  await store.close();
});

test('a series that has read it is lost with it, though it was undone before the answer came', async () => {
  const path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  const db = new Database(path);
  db.exec(`CREATE TRIGGER refused BEFORE INSERT ON records WHEN NEW.type = 'refused'
           BEGIN SELECT RAISE(ABORT, 'refused'); END`);
  db.close();
  await store.commit({ appends: [append(session('a'), { type: 'refused' })], flush: 'with_next' });
  const series = new Series();
  const ahead = store.head(session('a'), series);
  await expect(store.head(session('a'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' }); // commits what is open
  expect(await ahead).toMatchObject({ seq: 1 });
  await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  const next = store.commit({ appends: [append(session('a'))], after: series });
  await expect(next).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
});
