// Owns what the redo log of the SQLite engine promises: what a commit did to rows, counters and the ends of chains is seen by
// everyone at once, in this process and in others, whenever its tables are written.
import { join } from 'node:path';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import type { CommitResult, Store } from '../../src/store/contract.ts';
import { readSqliteChains } from '../../src/store/sqlite/open-reader.ts';
import { append, row, session } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const keys = memoryTenantKeys();

async function step(store: Store, id: string, status = 'open'): Promise<CommitResult> {
  return store.commit({
    appends: [append(session(id))],
    rows: [{ row: row(id, { status }) }],
    counters: [{ key: 'acme|n', add: 1 }],
  });
}

async function ids(store: Store, status: string): Promise<string[]> {
  const { items } = await store.list({ kind: 'request', tenant: 'acme', status, limit: 200 });
  return items.map(({ id }) => id);
}

/** How many entries and rows lie in the file. */
function inFile(path: string): { entries: number; rows: number } {
  const db = new Database(path);
  const count = (table: string): number =>
    (db.prepare(`SELECT count(*) AS n FROM ${table}`).get([]) as { n: number }).n;
  const found = { entries: count('redo'), rows: count('read_rows') };
  db.close();
  return found;
}

test('what is pending in one handle is judged, read and listed by another one', async () => {
  const path = join(testDir(), 'runtime.db');
  const [one, two] = [await testStore(path, keys), await testStore(path, keys)];
  await step(one, 'a');
  expect(inFile(path)).toEqual({ entries: 1, rows: 0 });
  expect(await two.counter('acme|n')).toBe(1);
  expect(await two.row('request', 'acme', 'a')).toMatchObject({ version: 1, status: 'open' });
  expect(await two.commit({ rows: [{ row: row('a'), when: 'absent' }] })).toMatchObject({ refused: 'row' });
  expect(await two.commit({ guards: [{ key: 'acme|n', is: 0 }] })).toMatchObject({
    refused: 'guard',
    value: 1,
  });
  await step(two, 'a', 'done');
  expect(await one.row('request', 'acme', 'a')).toMatchObject({ version: 2, status: 'done' });
  expect(await ids(one, 'done')).toEqual(['a']);
  expect(await ids(two, 'open')).toEqual([]);
  expect(inFile(path)).toEqual({ entries: 0, rows: 1 });
  expect(await two.counter('acme|n')).toBe(2);
});

/** What the table of chains says of the session 'a'. */
function endInFile(path: string): unknown {
  const db = new Database(path);
  const found = db.prepare("SELECT seq FROM chains WHERE id = 'a'").get([]);
  db.close();
  return found;
}

test('where a chain stands is pending too, and every handle and reader goes by it', async () => {
  const path = join(testDir(), 'runtime.db');
  const [one, two] = [await testStore(path, keys), await testStore(path, keys)];
  for (let n = 0; n < 3; n++) await one.commit({ appends: [append(session('a'))] });
  expect(endInFile(path)).toMatchObject({ seq: 1 });
  expect(await two.head(session('a'))).toEqual(await one.head(session('a')));
  expect(await two.head(session('a'))).toMatchObject({ seq: 3 });
  expect((await two.chains({ limit: 10 })).items).toMatchObject([{ seq: 3 }]);
  expect(await two.commit({ appends: [append(session('a'), { when: { seq: 2 } })] })).toMatchObject({
    refused: 'conflict',
    head: 3,
  });
  expect(await two.commit({ appends: [append(session('a'), { when: { seq: 3 } })] })).toMatchObject({
    ok: true,
  });
  expect(await one.head(session('a'))).toMatchObject({ seq: 4 });
  const read = await readSqliteChains(path, (reads) => reads.chains({ limit: 10 }));
  expect(read.items).toMatchObject([{ seq: 4 }]);
  await one.list({ kind: 'request', tenant: 'acme', limit: 1 });
  expect(endInFile(path)).toMatchObject({ seq: 4 });
  expect(await two.head(session('a'))).toMatchObject({ seq: 4 });
});

test('records that are cut off while the end of their chain is pending are missed', async () => {
  const path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  for (let n = 0; n < 3; n++) await store.commit({ appends: [append(session('a'))] });
  const other = new Database(path);
  other.exec('DELETE FROM records WHERE seq = 3');
  other.close();
  await expect(store.read(session('a'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  const read = readSqliteChains(path, (reads) => reads.read(session('a')));
  await expect(read).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
});

test('two handles that write in turns lose none of each other', async () => {
  const path = join(testDir(), 'runtime.db');
  const stores = [await testStore(path, keys), await testStore(path, keys)];
  for (let n = 0; n < 150; n++) {
    const store = stores[n % 2]!;
    await step(store, `r${n % 7}`);
    if (n % 50 === 49) expect(await ids(store, 'open')).toHaveLength(7);
  }
  for (const store of stores) expect(await store.counter('acme|n')).toBe(150);
  expect(await stores[0]!.row('request', 'acme', 'r0')).toMatchObject({ version: 22 });
});

test('many commits are settled together, so that the log stays short', async () => {
  const path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  for (let n = 0; n < 200; n++) await step(store, `r${n}`);
  const { entries, rows } = inFile(path);
  expect(entries).toBeLessThan(64);
  expect(rows).toBeGreaterThan(130);
});

test('commits in company share an entry, and are settled as soon when they hold much', async () => {
  const path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  const together = (from: number): Promise<CommitResult[]> =>
    Promise.all(Array.from({ length: 200 }, (_, index) => step(store, `r${from + index}`)));
  await together(0);
  expect(inFile(path)).toEqual({ entries: 1, rows: 0 });
  await together(200);
  await together(400);
  expect(inFile(path)).toEqual({ entries: 0, rows: 600 });
});

test('a copy that was taken while entries were pending has all of them', async () => {
  const dir = testDir();
  const store = await testStore(join(dir, 'runtime.db'), keys);
  await step(store, 'a');
  await store.backup(join(dir, 'copy.db'));
  const copy = await testStore(join(dir, 'copy.db'), keys);
  expect(await ids(copy, 'open')).toEqual(['a']);
  expect(await copy.counter('acme|n')).toBe(1);
});

test('what a reader got is its own: changing it changes nothing that is yet to be written', async () => {
  const store = await testStore(join(testDir(), 'runtime.db'), keys);
  const body = { id: 'a', words: ['kept'] };
  await store.commit({ rows: [{ row: row('a', { body }) }] });
  body.words.push('changed by the writer');
  const read = await store.row('request', 'acme', 'a');
  (read!.body['words'] as string[]).push('changed by the reader');
  expect((await store.row('request', 'acme', 'a'))!.body).toEqual({ id: 'a', words: ['kept'] });
  const { items } = await store.list({ kind: 'request', tenant: 'acme', limit: 10 });
  expect(items[0]!.body).toEqual({ id: 'a', words: ['kept'] });
});

test('a file of the version before gets its redo log and keeps what it holds', async () => {
  const path = join(testDir(), 'runtime.db');
  const before = await testStore(path, keys);
  await step(before, 'a');
  await before.close();
  const db = new Database(path);
  db.exec('DROP TABLE redo; PRAGMA user_version = 1;');
  db.close();
  const store = await testStore(path, keys);
  await step(store, 'b');
  expect((await ids(store, 'open')).sort()).toEqual(['a', 'b']);
  expect(await store.counter('acme|n')).toBe(2);
});

test('entries of the version before, which name no ends of chains, are settled', async () => {
  const path = join(testDir(), 'runtime.db');
  const before = await testStore(path, keys);
  await step(before, 'a');
  const db = new Database(path);
  db.exec("UPDATE redo SET entry = json_remove(entry, '$.ends'); PRAGMA user_version = 2;");
  db.close();
  const store = await testStore(path, keys);
  await step(store, 'a', 'done');
  expect(await ids(store, 'done')).toEqual(['a']);
  expect(await store.head(session('a'))).toMatchObject({ seq: 2 });
});

test('a damaged entry is said, and nothing is decided without it', async () => {
  const path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  await step(store, 'a');
  const other = new Database(path);
  other.exec("UPDATE redo SET entry = '{'");
  other.close();
  await expect(step(store, 'b')).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  await expect(store.counter('acme|n')).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  expect(await store.read(session('a'))).toHaveLength(1);
});

test('what is remembered of counters and rows is not older than what has been settled', async () => {
  const store = await testStore(join(testDir(), 'runtime.db'), keys);
  const settle = (): Promise<unknown> => store.list({ kind: 'request', tenant: 'acme', limit: 1 });
  expect(await store.row('request', 'acme', 'a')).toBeUndefined();
  for (let n = 1; n <= 3; n++) {
    await step(store, 'a');
    await settle();
    expect(await store.counter('acme|n')).toBe(n);
    expect(await store.commit({ rows: [{ row: row('a'), when: 'absent' }] })).toMatchObject({
      refused: 'row',
      version: n,
    });
  }
});

test('an entry of version 3, whose rows are objects with their bodies as text, is settled too', async () => {
  const path = join(testDir(), 'runtime.db');
  const before = await testStore(path, keys);
  await step(before, 'a');
  const db = new Database(path);
  const { entry } = db.prepare('SELECT entry FROM redo').get([]) as { entry: string };
  const names = ['kind', 'tenant', 'id', 'principal', 'status', 'ref', 'updated_at', 'version', 'body'];
  const { rows, ...rest } = JSON.parse(entry) as { rows: unknown[][] };
  const objects = rows.map((values) => ({
    ...Object.fromEntries(names.map((name, at) => [name, values[at]])),
    body: JSON.stringify(values.at(-1)),
  }));
  db.prepare('UPDATE redo SET entry = ?').run([JSON.stringify({ rows: objects, ...rest })]);
  db.close();
  const after = await testStore(path, keys);
  expect(await after.row('request', 'acme', 'a')).toEqual(await before.row('request', 'acme', 'a'));
  expect(await ids(after, 'open')).toEqual(['a']);
});
