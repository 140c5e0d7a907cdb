// Owns the proof that a damaged, foreign or newer state file is refused untouched, and that damage to one record
// stays with its own chain.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { beforeEach, describe, expect, test } from 'vitest';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { addMany, append, AT, numbers, row, session, verdict } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const keys = memoryTenantKeys();
let path = '';

/** Changes the file behind the store's back. */
function tamper(sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
}

beforeEach(async () => {
  path = join(testDir(), 'runtime.db');
  const store = await testStore(path, keys);
  await addMany(store, session('good'), 3);
  await addMany(store, session('bad'), 3);
  await store.commit({ appends: [append(session('bad'), { evidence: { n: 4 }, sealed: { secret: 1 } })] });
  await store.close();
});

describe('a whole file', () => {
  const whole = (): Buffer => readFileSync(path);
  const cases: [name: string, damage: () => Buffer, code: string, says: RegExp][] = [
    ['that is text', () => Buffer.from('# a text\n'.repeat(600)), 'STORE_CORRUPT', /is not a database/],
    ['filled with NUL', () => Buffer.alloc(8192), 'STORE_CORRUPT', /is not a database/],
    ['cut inside its header', () => whole().subarray(0, 60), 'STORE_CORRUPT', /is not a database/],
    ['cut in the middle', () => whole().subarray(0, 8192), 'STORE_CORRUPT', /shorter than its header/],
    ['torn inside a page', () => whole().subarray(0, whole().length - 100), 'STORE_CORRUPT', /shorter/],
    ['garbled in its schema', () => Buffer.from(whole().fill(0xaa, 100, 4000)), 'STORE_CORRUPT', /damaged/],
    ['of another product', () => Buffer.from(whole().fill(1, 68, 72)), 'STORE_CORRUPT', /not a state file/],
    ['of a newer version', () => Buffer.from(whole().fill(9, 63, 64)), 'STORE_FUTURE_VERSION', /version 9/],
  ];
  test.each(cases)('%s is refused with its name and left as it is', async (_name, damage, code, says) => {
    const bytes = damage();
    writeFileSync(path, bytes);
    const opening = testStore(path, keys);
    await expect(opening).rejects.toMatchObject({ code });
    await expect(opening).rejects.toThrow(says);
    await expect(opening).rejects.toThrow(
      code === 'STORE_CORRUPT' && says.source === 'damaged' ? 'damaged' : path,
    );
    expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
  });

  test('that lost its database but not its log is not started anew', async () => {
    writeFileSync(path, '');
    writeFileSync(`${path}-wal`, 'x'.repeat(5000));
    await expect(testStore(path, keys)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    expect(readFileSync(`${path}-wal`)).toHaveLength(5000);
  });

  test('whose directory cannot be made is unavailable, not corrupt', async () => {
    const under = join(path, 'below-a-file', 'runtime.db');
    await expect(testStore(under, keys)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

describe('one record', () => {
  const SEQ_2 = "cid = (SELECT cid FROM chains WHERE id = 'bad') AND seq = 2";

  test.each([
    ['a garbled header', `UPDATE records SET header = '{"v":1' WHERE ${SEQ_2}`, 2],
    [
      'a changed header',
      `UPDATE records SET header = replace(header, 'call_started', 'call_denied') WHERE ${SEQ_2}`,
      2,
    ],
    ['a changed hash', `UPDATE records SET hash = 'x' || substr(hash, 2) WHERE ${SEQ_2}`, 2],
    ['a header that is not text', `UPDATE records SET header = x'00ff' WHERE ${SEQ_2}`, 2],
    ['a removed record', `DELETE FROM records WHERE ${SEQ_2}`, 2],
    ['a removed last record', 'DELETE FROM records WHERE seq = 4', 4],
  ])('with %s stops its own chain only, and is named', async (_name, sql, seq) => {
    tamper(sql);
    const store = await testStore(path, keys);
    const reading = store.read(session('bad'));
    await expect(reading).rejects.toMatchObject({ code: 'STORE_CORRUPT', details: { id: 'bad', seq } });
    expect(numbers(await store.read(session('good')))).toEqual([1, 2, 3]);
    const scanned = await store.scan({ limit: 100 });
    expect(scanned.filter(({ header }) => header.chain.id === 'good')).toHaveLength(3);
    expect((await store.commit({ appends: [append(session('good'))] })).ok).toBe(true);
    for (const damage of (await store.report()).damage) expect(damage.chain).toEqual(session('bad'));
  });

  test('with a garbled payload is read as unreadable, its chain goes on', async () => {
    tamper(`UPDATE records SET evidence = '{"n":99}' WHERE ${SEQ_2}`);
    const store = await testStore(path, keys);
    expect(numbers(await store.read(session('bad')))).toEqual([1, 'unreadable', 3, 4]);
    expect(await verdict(store, session('bad'))).toEqual({ ok: false, seq: 2, fault: 'payload' });
    expect((await store.report()).damage).toHaveLength(1);
  });

  test('whose sealed bytes were garbled, or sealed with another key, is unreadable', async () => {
    const other = await testStore(path, memoryTenantKeys());
    expect(await other.unseal(session('bad'), 4)).toEqual({ state: 'unreadable' });
    await other.close();
    tamper("UPDATE records SET sealed = x'0102' WHERE seq = 4");
    const store = await testStore(path, keys);
    expect(await store.unseal(session('bad'), 4)).toEqual({ state: 'unreadable' });
    expect(numbers(await store.read(session('bad'), 4))).toEqual([4]);
  });

  test('that was moved to another place does not open there', async () => {
    tamper(`UPDATE records SET sealed = (SELECT sealed FROM records WHERE seq = 4),
              header = (SELECT header FROM records WHERE seq = 4),
              hash = (SELECT hash FROM records WHERE seq = 4) WHERE ${SEQ_2}`);
    const store = await testStore(path, keys);
    await expect(store.unseal(session('bad'), 2)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });

  test('a chain end behind its records refuses to write over them', async () => {
    tamper("UPDATE chains SET seq = 1 WHERE id = 'bad'");
    const store = await testStore(path, keys);
    const both = [
      store.commit({ appends: [append(session('bad'))] }),
      store.commit({ appends: [append(session('good'))] }),
    ];
    const [bad, good] = await Promise.allSettled(both);
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'STORE_CORRUPT' } });
    expect(good).toMatchObject({ status: 'fulfilled', value: { ok: true } });
  });
});

describe('other damage', () => {
  test('a garbled row is named and the others stay listed by status', async () => {
    const writing = await testStore(path, keys);
    await writing.commit({ rows: [{ row: row('a') }, { row: row('b', { status: 'done' }) }] });
    await writing.close();
    tamper("UPDATE read_rows SET body = '{' WHERE id = 'a'");
    const store = await testStore(path, keys);
    await expect(store.row('request', 'acme', 'a')).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    const done = await store.list({ kind: 'request', tenant: 'acme', status: 'done', limit: 5 });
    expect(done.items).toHaveLength(1);
  });

  test('changed content is told from the content that was stored', async () => {
    const writing = await testStore(path, keys);
    await writing.commit({ blobs: [{ tenant: 'acme', key: 'k', bytes: Buffer.from('content') }] });
    await writing.close();
    tamper("UPDATE blobs SET bytes = x'00'");
    const store = await testStore(path, keys);
    await expect(store.blob('acme', 'k')).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });

  test('a snapshot that does not open is no snapshot', async () => {
    const writing = await testStore(path, keys);
    const head = await writing.head(session('good'));
    await writing.saveSnapshot(session('good'), 3, head!.hash, { at: AT });
    await writing.close();
    const other = await testStore(path, memoryTenantKeys());
    expect(await other.snapshot(session('good'))).toBeUndefined();
  });
});
