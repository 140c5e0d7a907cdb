// What one handle of a file knows of leases gives way to what another one writes.
import { join } from 'node:path';
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
