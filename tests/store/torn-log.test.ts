// Owns the proof that a write-ahead log which ends in the middle of a write, as a sudden end leaves it, costs nothing that
// was acknowledged before that place, and is gone on from.
import { copyFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { verifyStore } from '../../src/inspect/evidence.ts';
import type { Store } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { append, numbers, row, session, verdict } from '../contract/store-words.ts';
import { verifies } from '../e2e/verifies.ts';
import { testDir, testStore } from './support.ts';

const keys = memoryTenantKeys();
const CHAIN = session('torn');
const FRAME = 24 + 4096;
const COMMITS = 3;

async function step(store: Store, n: number): Promise<void> {
  const evidence = { n, filler: 'x'.repeat(n % 2 === 0 ? 9000 : 10) };
  const done = await store.commit({
    appends: [append(CHAIN, { evidence, sealed: { n } })],
    rows: [{ row: row(`r${n}`) }],
    counters: [{ key: 'acme|torn', add: 1 }],
  });
  expect(done.ok).toBe(true);
}

/** The files of a process that ended at once, and how long its log was as each step was acknowledged. */
async function leftBehind(dir: string): Promise<{ path: string; acknowledged: number[] }> {
  const live = join(dir, 'live.db');
  const store = await testStore(live, keys);
  const acknowledged: number[] = [];
  for (let n = 1; n <= COMMITS; n++) {
    await step(store, n);
    acknowledged.push(statSync(`${live}-wal`).size);
  }
  const path = join(dir, 'left.db');
  for (const end of ['', '-wal']) copyFileSync(`${live}${end}`, `${path}${end}`);
  return { path, acknowledged };
}

/** In the log's own header, around the end of every step, and in the frames before and after it: in header and page. */
function cutsOf(acknowledged: readonly number[]): number[] {
  const around = [-FRAME - 1, -FRAME + 10, -2000, -1, 0, 1, 24, 2000];
  const last = acknowledged.at(-1) ?? 0;
  const cuts = acknowledged.flatMap((end) => around.map((by) => end + by)).filter((cut) => cut <= last);
  return [...new Set([0, 10, 31, 32, ...cuts])];
}

const TEARS: Readonly<Record<string, (log: string, at: number) => void>> = {
  'is cut': truncateSync,
  // A file that was made longer before its bytes were there.
  'is empty from there on': (log, at) => {
    writeFileSync(log, readFileSync(log).fill(0, at));
  },
  'holds something else from there on': (log, at) => {
    writeFileSync(log, readFileSync(log).fill(0xa5, at));
  },
};

async function expectWhole(store: Store, count: number): Promise<void> {
  expect(numbers(await store.read(CHAIN))).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  expect(await verdict(store, CHAIN)).toMatchObject({ ok: true, end: { seq: count } });
  expect(await store.counter('acme|torn')).toBe(count);
  expect(
    (await store.list({ kind: 'request', tenant: 'acme', status: 'open', limit: 50 })).items,
  ).toHaveLength(count);
  expect(await verifyStore(store)).toMatchObject({ ok: true, records: count });
}

verifies(
  { partial: ['EV-03'] },
  'a log that is torn anywhere keeps all that was acknowledged before, verifies, and takes more',
  async () => {
    const dir = testDir();
    const { path, acknowledged } = await leftBehind(dir);
    const cuts = cutsOf(acknowledged);
    expect(cuts.length).toBeGreaterThan(20);
    for (const [kind, tear] of Object.entries(TEARS)) {
      for (const cut of cuts) {
        const place = join(dir, `${kind} ${cut}`);
        mkdirSync(place);
        const torn = join(place, 'runtime.db');
        for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${torn}${end}`);
        tear(`${torn}-wal`, cut);
        const kept = acknowledged.filter((end) => end <= cut).length;
        const store = await testStore(torn, keys);
        await expectWhole(store, kept);
        await step(store, kept + 1);
        await store.close();
        const again = await testStore(torn, keys);
        await expectWhole(again, kept + 1);
        expect(await again.unseal(CHAIN, kept + 1)).toEqual({ state: 'present', value: { n: kept + 1 } });
        await again.close();
      }
    }
  },
  120_000, // hundreds of flushes, one after the other
);
