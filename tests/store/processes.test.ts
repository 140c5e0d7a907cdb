// Owns the proof that the store holds across processes, their sudden ends, and a disk that is full for a while.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileTenantKeys } from '../../src/store/sealing.ts';
import { numbers, session, verdict } from '../contract/store-words.ts';
import { verifies } from '../e2e/verifies.ts';
import { startChild, testDir, testStore } from './support.ts';

function acknowledged(lines: string[]): number[] {
  return lines.filter((line) => line.startsWith('ack ')).map((line) => Number(line.slice(4)));
}

describe('several processes', () => {
  test('that open one new file at once all get in, and appends to one chain are all there', async () => {
    const dir = testDir();
    const [path, keys] = [join(dir, 'state', 'runtime.db'), join(dir, 'keys')];
    const children = Array.from({ length: 3 }, () =>
      startChild('append-loop.mjs', [path, keys, 'shared', '150']),
    );
    expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    for (const child of children) expect(acknowledged(child.lines)).toHaveLength(150);
    const store = await testStore(path, fileTenantKeys(keys));
    expect(await verdict(store, session('shared'))).toMatchObject({ ok: true, end: { seq: 450 } });
    expect(await store.counter('acme|shared')).toBe(450);
    // All three made or found the same key.
    expect(await store.unseal(session('shared'), 450)).toMatchObject({ state: 'present' });
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
    expect((statSync(join(dir, 'state')).mode & 0o777).toString(8)).toBe('700');
  });
});

describe('kill -9', () => {
  verifies(
    { partial: ['EV-03'] },
    'in the middle of commits loses nothing acknowledged and blocks nobody',
    async () => {
      const dir = testDir();
      const [path, keys] = [join(dir, 'runtime.db'), join(dir, 'keys')];
      for (const [round, mark] of ['ack 40', 'ack 7', 'ack 90'].entries()) {
        const child = startChild('append-loop.mjs', [path, keys, `r${round}`, '100000']);
        await child.said(mark);
        child.process.kill('SIGKILL');
        await child.ended;
        const store = await testStore(path, fileTenantKeys(keys));
        const kept = new Set(numbers(await store.read(session(`r${round}`))));
        const lost = acknowledged(child.lines).filter((n) => !kept.has(n));
        expect(lost).toEqual([]);
        expect(await store.counter(`acme|r${round}`)).toBe(kept.size);
        expect(await verdict(store, session(`r${round}`))).toMatchObject({ ok: true });
        await store.close();
      }
    },
  );
});

describe('a full disk', () => {
  test('refuses without acknowledging, keeps what was there, and goes on without a restart', async () => {
    const dir = testDir();
    const [path, keys] = [join(dir, 'runtime.db'), join(dir, 'keys')];
    const child = startChild(
      'append-loop.mjs',
      [path, keys, 'a', '400', 'lift'],
      'ulimit -S -f 400; FILLER=3000',
    );
    expect(await child.ended).toBe(0);
    const refused = child.lines.filter((line) => line.startsWith('refused'));
    expect(refused).toHaveLength(3);
    for (const line of refused) expect(line).toContain('STORE_UNAVAILABLE');
    expect(child.lines).toContain('lifted true');
    const store = await testStore(path, fileTenantKeys(keys));
    const kept = numbers(await store.read(session('a')));
    expect(kept).toEqual(acknowledged(child.lines));
    expect(kept).toHaveLength(397);
    expect(await verdict(store, session('a'))).toMatchObject({ ok: true });
    expect(readFileSync(path).length).toBeGreaterThan(0);
  });
});
