// Owns the same promises on the durable engine: every check runs again with its kernels on SQLite files.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import type { Store } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createRig } from '../kernel/rig.ts';
import { everyCheck } from './checks.ts';

const dir = mkdtempSync(join(tmpdir(), 'arp-kernel-'));
const opened: Store[] = [];
// The most stores that one check asks for.
const POOL = 8;

async function pool(name: string): Promise<Store[]> {
  const paths = Array.from({ length: POOL }, (_, n) => join(dir, `${name}-${n}`, 'runtime.db'));
  const keys = memoryTenantKeys();
  const stores = await Promise.all(
    paths.map((path) => openSqliteStore({ path, keys, clock: systemClock, ids: randomIds })),
  );
  opened.push(...stores);
  return stores;
}

afterAll(async () => {
  for (const store of opened) await store.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('on SQLite', () => {
  for (const [name, check] of Object.entries(everyCheck)) {
    test(`${name} holds`, async () => {
      const stores = await pool(name);
      await check((options = {}) => {
        const store = options.store ?? stores.pop();
        if (store === undefined) throw new Error('the pool is too small');
        return createRig({ ...options, store });
      });
    });
  }
});
