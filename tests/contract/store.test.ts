// Owns the list of engines that the store suite runs over.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { storeSuite } from './store-suite.ts';

storeSuite({
  name: 'memory',
  open: async () => createMemoryStore(),
  peer: async () => createMemoryStore(),
  freshPath: () => '',
  lacks: {
    peers: 'its data lives in one object; there is nothing another process could open',
    backup: 'there is no file to copy',
  },
});

const root = mkdtempSync(join(tmpdir(), 'arp-contract-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const keys = memoryTenantKeys();
let count = 0;
const open = () =>
  openSqliteStore({ path: join(root, `s${count}`, 'runtime.db'), keys, clock: systemClock, ids: randomIds });

storeSuite({
  name: 'sqlite',
  open() {
    count += 1;
    return open();
  },
  peer: open,
  freshPath: () => join(root, `copy${count}`, 'runtime.db'),
  lacks: {},
});
