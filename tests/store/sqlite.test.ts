// Owns what only the SQLite engine promises: durability settings, indexed lists, backups, erased bytes, busy files.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { connect } from '../../src/store/sqlite/connection.ts';
import { configure } from '../../src/store/sqlite/schema.ts';
import { addMany, append, AT, numbers, session, verdict } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const keys = memoryTenantKeys();

describe('the file', () => {
  test('is opened with a log that is flushed at every commit, where no writer flushes by itself', () => {
    const db = connect(join(testDir(), 'x.db'), 20);
    configure(db, 'x.db');
    expect([db.pragma('journal_mode'), db.pragma('synchronous'), db.pragma('secure_delete')]).toEqual([
      'wal',
      2,
      1,
    ]);
    db.close();
  });

  test('and its log are private, also when the file was not', async () => {
    const path = join(testDir(), 'runtime.db');
    await (await testStore(path, keys)).close();
    const store = await testStore(path, keys);
    await addMany(store, session('a'), 1);
    for (const name of readdirSync(dirname(path))) {
      expect(statSync(join(dirname(path), name)).mode & 0o077).toBe(0);
    }
  });

  test('holds neither sealed payloads nor snapshots in the clear, and nothing of what was erased', async () => {
    const path = join(testDir(), 'runtime.db');
    const store = await testStore(path, keys);
    const appends = Array.from({ length: 30 }, (_, n) =>
      append(session('a'), { evidence: { n, word: 'ERASABLE' }, sealed: { word: 'SEALEDWORD' } }),
    );
    await store.commit({ appends });
    await store.saveSnapshot(session('a'), 30, (await store.head(session('a')))!.hash, {
      word: 'FOLDEDWORD',
    });
    const bytes = () =>
      readdirSync(dirname(path)).map((name) => readFileSync(join(dirname(path), name), 'latin1'));
    expect(bytes().join()).toContain('ERASABLE');
    expect(bytes().join()).not.toMatch(/SEALEDWORD|FOLDEDWORD/);
    await store.erase(session('a'), 'all', AT, 'retention');
    expect(bytes().join()).not.toContain('ERASABLE');
  });

  test('lists walk an index, scans go on from their cursor, and neither sorts but the few rows of one ref', async () => {
    const path = join(testDir(), 'runtime.db');
    await (await testStore(path, keys)).close();
    const db = new Database(path);
    const plan = (sql: string) => JSON.stringify(db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all([]));
    const base = "SELECT * FROM read_rows WHERE kind = 'a' AND tenant = 'b'";
    const order = 'ORDER BY updated_at DESC, id LIMIT 5';
    const after = 'AND updated_at <= 5 AND (updated_at < 5 OR id > 6)';
    const nextStatus = "SELECT min(status) FROM read_rows WHERE kind = 'a' AND tenant = 'b' AND status > 'c'";
    expect(plan(nextStatus)).toContain('rows_by_status (kind=? AND tenant=? AND status>?)');
    expect(plan(`${base} AND status = 'x' ${after} ${order}`)).toContain('rows_by_status');
    const byRef = base.replace('read_rows', 'read_rows INDEXED BY rows_by_ref');
    expect(plan(`${byRef} AND ref = 'x' ${after} ${order}`)).toContain('rows_by_ref (ref=?)');
    expect(plan(`${base} AND principal = 'x' AND status = 'y' ${order}`)).toContain('rows_by_status');
    const backwards =
      'AND updated_at >= 5 AND (updated_at > 5 OR id < 6) ORDER BY updated_at, id DESC LIMIT 5';
    for (const where of ["AND status = 'x'", "AND principal = 'x' AND status = 'y'"]) {
      for (const page of [`${after} ${order}`, backwards]) {
        expect(plan(`${base} ${where} ${page}`)).toContain('rows_by_status');
        expect(plan(`${base} ${where} ${page}`)).not.toContain('TEMP B-TREE');
      }
    }
    const scan = plan("SELECT * FROM records WHERE type = 'a' AND position > 5 ORDER BY position");
    expect(scan).toContain('INTEGER PRIMARY KEY (rowid>?)');
    expect(scan).not.toContain('TEMP B-TREE');
    db.close();
  });
});

describe('large content', () => {
  test('lies in a file under an encoded name, and a lost file is reported', async () => {
    const path = join(testDir(), 'runtime.db');
    const store = await testStore(path, keys);
    const bytes = Buffer.alloc(1024 * 1024 + 1, 3);
    await store.commit({ blobs: [{ tenant: '../evil', key: 'K/1', bytes }] });
    expect(readdirSync(join(dirname(path), 'blobs'))).toEqual(['~2e~2e~2fevil']);
    expect(readdirSync(join(dirname(path), 'blobs', '~2e~2e~2fevil'))).toEqual(['~4b~2f1']);
    rmSync(join(dirname(path), 'blobs'), { recursive: true });
    await expect(store.blob('../evil', 'K/1')).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });

  test('that could not be written leaves nothing, and what an ended process left goes in time', async () => {
    const path = join(testDir(), 'runtime.db');
    const folder = join(dirname(path), 'blobs', 'acme');
    mkdirSync(join(folder, 'k'), { recursive: true }); // in the way of the file
    const [old, young] = ['a.00.tmp', 'b.11.tmp'].map((name) => join(folder, name)) as [string, string];
    for (const draft of [old, young]) writeFileSync(draft, 'half');
    const twoHoursAgo = systemClock.now() / 1000 - 7200;
    utimesSync(old, twoHoursAgo, twoHoursAgo);
    const store = await testStore(path, keys);
    const commit = { blobs: [{ tenant: 'acme', key: 'k', bytes: Buffer.alloc(1024 * 1024 + 1, 3) }] };
    await expect(store.commit(commit)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(readdirSync(folder).sort()).toEqual(['b.11.tmp', 'k']);
    rmSync(join(folder, 'k'), { recursive: true });
    expect(await store.commit(commit)).toMatchObject({ ok: true });
    const { ino } = statSync(join(folder, 'k'));
    await store.commit(commit);
    expect([readdirSync(folder).sort(), statSync(join(folder, 'k')).ino]).toEqual([['b.11.tmp', 'k'], ino]);
  });
});

describe('a backup', () => {
  test('taken while commits go on is whole, consistent and private', async () => {
    const dir = testDir();
    const store = await testStore(join(dir, 'runtime.db'), keys);
    const large = Buffer.alloc(1024 * 1024 + 1, 3);
    await store.commit({ blobs: [{ tenant: 'acme', key: 'k', bytes: large }] });
    const writing = Array.from({ length: 50 }, (_, n) =>
      store.commit({
        appends: [append(session('a'), { evidence: { n } })],
        counters: [{ key: 'n', add: 1 }],
      }),
    );
    const target = join(dir, 'copies', 'one.db');
    await Promise.all([...writing, store.backup(target)]);
    const copy = await testStore(target, keys);
    const count = numbers(await copy.read(session('a'))).length;
    expect(await copy.counter('n')).toBe(count);
    expect(await verdict(copy, session('a'))).toMatchObject({ ok: true });
    expect((await copy.blob('acme', 'k'))?.length).toBe(large.length);
    expect(statSync(target).mode & 0o777).toBe(0o600);
  });
});

describe('a file that another connection holds', () => {
  test('is waited for without blocking, and the commit then goes in', async () => {
    const path = join(testDir(), 'runtime.db');
    const store = await testStore(path, keys);
    const other = new Database(path);
    other.exec('BEGIN IMMEDIATE');
    const commit = store.commit({ appends: [append(session('a'))] });
    expect(await store.head(session('a'))).toBeUndefined(); // reads go on
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    other.exec('ROLLBACK');
    expect((await commit).ok).toBe(true);
    other.close();
  });

  test('for longer than five seconds makes the store unavailable, until it is free', async () => {
    const path = join(testDir(), 'runtime.db');
    const store = await testStore(path, keys);
    const other = new Database(path);
    other.exec('BEGIN IMMEDIATE');
    const commits = [1, 2].map(() => store.commit({ appends: [append(session('a'))] }));
    for (const result of await Promise.allSettled(commits)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } });
    }
    other.exec('ROLLBACK');
    other.close();
    expect((await store.commit({ appends: [append(session('a'))] })).ok).toBe(true);
    expect(await store.read(session('a'))).toHaveLength(1);
  });
});
