// What was undone leaves no trace: not in a later read, not in the redo log, not for another handle of the file.
import { join } from 'node:path';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { append, AT, row, session } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const keys = memoryTenantKeys();

/** A file whose chain 'bad' ends before its records, so that the engine refuses to write the next one. */
async function withBadChain(): Promise<string> {
  const path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  for (const id of ['bad', 'bad', 'good']) await store.commit({ appends: [append(session(id))] });
  await store.close();
  const db = new Database(path);
  db.exec("UPDATE chains SET seq = 1 WHERE id = 'bad'");
  db.close();
  return path;
}

test('rows, counters and ends of a commit that the engine refused are not there for the next reader', async () => {
  const path = await withBadChain();
  const store = await testStore(path, keys);
  const refused = store.commit({
    appends: [append(session('good')), append(session('bad'))],
    rows: [{ row: row('a') }],
    counters: [{ key: 'acme|n', add: 1 }],
  });
  await expect(refused).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  expect(await store.row('request', 'acme', 'a')).toBeUndefined();
  expect(await store.counter('acme|n')).toBe(0);
  expect(await store.head(session('good'))).toMatchObject({ seq: 1 });
  expect(await (await testStore(path, keys)).row('request', 'acme', 'a')).toBeUndefined();
});

test('an erasure that cannot be recorded takes nothing away', async () => {
  const store = await testStore(join(testDir(), 'runtime.db'), keys);
  await store.commit({ appends: [append(session('a'))] });
  await expect(store.erase(session('a'), 'all', AT, '\ud800')).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  });
  expect((await store.read(session('a')))[0]?.evidence.state).toBe('present');
});

test('a counter that is remembered keeps its value when the memory is full and several are asked for', async () => {
  const store = await testStore(join(testDir(), 'runtime.db'), keys);
  await store.commit({ counters: [{ key: 'acme|used', add: 3 }] });
  await store.list({ kind: 'request', tenant: 'acme', limit: 1 }); // settles, so that it is read from its table
  await store.counter('acme|used');
  await store.counters(Array.from({ length: 4095 }, (_, index) => `acme|${index}`));
  expect(await store.counters(['acme|new', 'acme|newer', 'acme|used'])).toEqual([0, 0, 3]);
});
