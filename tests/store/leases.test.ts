// What one handle of a file knows of leases gives way to what another one writes.
import { join } from 'node:path';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { chainLeaseKey } from '../../src/store/contract.ts';
import type { CommitResult, Store } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { append, session } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const KEY = chainLeaseKey(session('a'));

async function pair(): Promise<[Store, Store]> {
  const path = join(testDir(), 'runtime.db');
  const keys = memoryTenantKeys();
  return [await testStore(path, keys), await testStore(path, keys)];
}

const step = (store: Store, epoch: number): Promise<CommitResult> =>
  store.commit({ appends: [append(session('a'), { when: { epoch } })] });

test('whoever held a lease before another handle took it is fenced, and cannot renew it', async () => {
  const [one, two] = await pair();
  expect(await one.claim(KEY, 'one', 0, 10)).toMatchObject({ ok: true, lease: { epoch: 1 } });
  expect(await step(one, 1)).toMatchObject({ ok: true });
  expect(await two.claim(KEY, 'two', 20, 10)).toMatchObject({ ok: true, lease: { epoch: 2 } });
  expect(await step(one, 1)).toMatchObject({ refused: 'fenced', epoch: 2 });
  expect(await one.claim(KEY, 'one', 25, 10)).toMatchObject({ ok: false, holder: { owner: 'two' } });
});

test('a lease that another handle gave back is free', async () => {
  const [one, two] = await pair();
  const taken = await two.claim(KEY, 'two', 0, 10);
  expect(await one.claim(KEY, 'one', 5, 10)).toMatchObject({ ok: false, holder: { owner: 'two' } });
  if (taken.ok) await two.release(taken.lease);
  expect(await one.claim(KEY, 'one', 5, 10)).toMatchObject({ ok: true, lease: { epoch: 2 } });
});

test('a key that had no lease when it was first asked for has the one that came since', async () => {
  const [one, two] = await pair();
  expect(await step(one, 1)).toMatchObject({ ok: true }); // nobody has ever held it
  await two.claim(KEY, 'two', 0, 10);
  await two.claim(KEY, 'three', 20, 10);
  expect(await step(one, 1)).toMatchObject({ refused: 'fenced', epoch: 2 });
});

/** Who holds it, as the table says. */
function ownerInFile(path: string): unknown {
  const db = new Database(path);
  const found = db.prepare('SELECT owner FROM leases WHERE key = ?').get([KEY]) as
    { owner: string } | undefined;
  db.close();
  return found?.owner;
}

test('a lease that lies in the redo log is seen by all, and is in the table once that is settled', async () => {
  const path = join(testDir(), 'runtime.db');
  const keys = memoryTenantKeys();
  const one = await testStore(path, keys);
  await one.claim(KEY, 'one', 0, 10);
  expect(ownerInFile(path)).toBeUndefined();
  const two = await testStore(path, keys); // as after the end of the process that took it
  expect(await two.claim(KEY, 'two', 5, 10)).toMatchObject({ ok: false, holder: { owner: 'one', epoch: 1 } });
  expect(await step(two, 0)).toMatchObject({ ok: true });
  await two.list({ kind: 'request', tenant: 'acme', limit: 1 });
  expect(ownerInFile(path)).toBe('one');
  expect(await two.claim(KEY, 'two', 20, 10)).toMatchObject({ ok: true, lease: { epoch: 2 } });
  await one.list({ kind: 'request', tenant: 'acme', limit: 1 });
  expect(ownerInFile(path)).toBe('two');
  expect(await step(one, 1)).toMatchObject({ refused: 'fenced', epoch: 2 });
});

test('a lease of a file of version 4, which has it in the table at once, is still held', async () => {
  const path = join(testDir(), 'runtime.db');
  const keys = memoryTenantKeys();
  const before = await testStore(path, keys);
  await before.claim(KEY, 'one', 0, 10);
  await step(before, 1);
  const db = new Database(path);
  db.exec("UPDATE redo SET entry = json_remove(entry, '$.leases'); PRAGMA user_version = 4;");
  db.prepare('INSERT INTO leases (key, owner, epoch, until) VALUES (?, ?, ?, ?)').run([KEY, 'one', 1, 10]);
  db.close();
  const after = await testStore(path, keys);
  expect(await after.claim(KEY, 'two', 5, 10)).toMatchObject({ ok: false, holder: { owner: 'one' } });
  expect(await after.head(session('a'))).toMatchObject({ seq: 1 });
});
