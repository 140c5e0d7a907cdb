// Owns the proof that sealed payloads open with their key at their place only, and that tenant keys are made once.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileTenantKeys, memoryTenantKeys, placeOf, seal, unseal } from '../../src/store/sealing.ts';
import { append, session } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const key = new Uint8Array(32).fill(1);
const nonce = new Uint8Array(12).fill(2);
const payload = { salt: 'a'.repeat(32), text: '{"é":"🙂"}' };

describe('sealed bytes', () => {
  const place = placeOf(session('a'), 7);
  const sealed = seal(key, nonce, place, payload);

  test('are pinned: form, nonce, ciphertext and tag', () => {
    expect(Buffer.from(sealed).toString('hex')).toBe(
      `01${'02'.repeat(12)}66b7a8282b36a09cb2addda93dc6a3d3c3d4b08e8ad0ec10bce6819a199a151e` +
        '0c5ddd9e4f55811fd8b7d0cbe2fbfd25bf5e043c0a417f3d8827018047',
    );
  });

  test('open with their key at their place', () => {
    expect(unseal(key, place, sealed)).toEqual(payload);
    expect(Buffer.from(sealed).includes(payload.salt)).toBe(false);
  });

  test('open nowhere else, not with another key, not when changed or cut', () => {
    const changed = Uint8Array.from(sealed);
    changed[20]! ^= 1;
    expect(unseal(key, placeOf(session('a'), 8), sealed)).toBeUndefined();
    expect(unseal(key, placeOf(session('a'), 7, 'snapshot'), sealed)).toBeUndefined();
    expect(unseal(new Uint8Array(32), place, sealed)).toBeUndefined();
    expect(unseal(key, place, changed)).toBeUndefined();
    for (const length of [0, 1, 30, sealed.length - 1]) {
      expect(unseal(key, place, sealed.subarray(0, length))).toBeUndefined();
    }
  });
});

describe('tenant keys in files', () => {
  test('are made once per tenant, private, with names that cannot leave the directory', () => {
    const dir = join(testDir(), 'keys');
    const tenants = ['acme', 'Acme', '../../acme', 'a/b', '.', 'nul'];
    const made = tenants.map((tenant) =>
      Buffer.from(fileTenantKeys(dir).sealingKey(tenant)!).toString('hex'),
    );
    expect(new Set(made).size).toBe(tenants.length);
    const again = tenants.map((tenant) =>
      Buffer.from(fileTenantKeys(dir).sealingKey(tenant)!).toString('hex'),
    );
    expect(again).toEqual(made);
    expect(readdirSync(dir)).toHaveLength(tenants.length);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  test('a damaged key file is reported and kept, never replaced', () => {
    const dir = join(testDir(), 'keys');
    mkdirSync(dir);
    writeFileSync(join(dir, 'acme.key'), 'short');
    expect(() => fileTenantKeys(dir).sealingKey('acme')).toThrow(/acme\.key/);
    expect(readFileSync(join(dir, 'acme.key'), 'utf8')).toBe('short');
  });

  test('a destroyed key is gone for every holder, and no new one takes its place', async () => {
    const dir = testDir();
    const keys = fileTenantKeys(join(dir, 'keys'));
    const store = await testStore(join(dir, 'runtime.db'), keys);
    await store.commit({ appends: [append(session('a'), { sealed: 1 })] });
    fileTenantKeys(join(dir, 'keys')).destroy('acme');
    expect(await store.unseal(session('a'), 1)).toEqual({ state: 'unreadable' });
    const sealing = store.commit({ appends: [append(session('a'), { sealed: 2 })] });
    await expect(sealing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect((await store.commit({ appends: [append(session('a'))] })).ok).toBe(true);
  });
});

test('keys in memory differ per tenant and can be destroyed', () => {
  const keys = memoryTenantKeys();
  const [first, other] = [keys.sealingKey('acme'), keys.sealingKey('globex')];
  expect(keys.sealingKey('acme')).toBe(first);
  expect(other).not.toEqual(first);
  keys.destroy('acme');
  expect(keys.sealingKey('acme')).toBeUndefined();
});
