// Owns the part of the store suite about commits: S1 to S6, each refusal, and what many at once leave behind.
import { describe, expect, test } from 'vitest';
import { EMPTY_HASH } from '../../src/store/chain.ts';
import { chainLeaseKey } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import type { Bench } from './store-suite.ts';
import { addMany, append, AT, numbers, row, session, verdict } from './store-words.ts';

export function commitSuite(bench: Bench): void {
  describe('appends', () => {
    test('assigns seq, prev and hash itself, and answers with the heads', async () => {
      const store = await bench.open();
      const result = await store.commit({
        appends: [append(session('a')), append(session('a')), append(session('b'))],
      });
      const records = await store.read(session('a'));
      expect(records.map(({ header }) => header.seq)).toEqual([1, 2]);
      expect(records[0]!.header.prev).toBe(EMPTY_HASH);
      expect(records[1]!.header.prev).toBe(records[0]!.hash);
      expect(result).toEqual({
        ok: true,
        counters: new Map(),
        heads: [
          { chain: session('a'), seq: 2, hash: records[1]!.hash },
          { chain: session('b'), seq: 1, hash: (await store.head(session('b')))!.hash },
        ],
      });
      expect(await verdict(store, session('a'))).toEqual({
        ok: true,
        end: { seq: 2, hash: records[1]!.hash },
      });
    });

    test('when.seq appends only at exactly that head, and says where the head is', async () => {
      const store = await bench.open();
      const at = (seq: number) => store.commit({ appends: [append(session('a'), { when: { seq } })] });
      expect(await at(1)).toEqual({ ok: false, refused: 'conflict', chain: session('a'), head: 0 });
      expect((await at(0)).ok).toBe(true);
      expect(await at(0)).toEqual({ ok: false, refused: 'conflict', chain: session('a'), head: 1 });
      expect((await at(1)).ok).toBe(true);
      expect((await store.head(session('a')))?.seq).toBe(2);
    });

    verifies(
      { partial: ['QB-04'] },
      `of parallel writers of one step exactly one wins (${bench.name})`,
      async () => {
        const store = await bench.open();
        await addMany(store, session('a'), 3);
        const tries = Array.from({ length: 20 }, () =>
          store.commit({
            appends: [append(session('a'), { when: { seq: 3 } })],
            counters: [{ key: 'acme|won', add: 1 }],
          }),
        );
        const results = await Promise.all(tries);
        expect(results.filter(({ ok }) => ok)).toHaveLength(1);
        expect((await store.head(session('a')))?.seq).toBe(4);
        expect(await store.counter('acme|won')).toBe(1);
      },
    );

    test('1000 parallel when.epoch appends to one chain all get in and the chain verifies', async () => {
      const store = await bench.open();
      const commits = Array.from({ length: 1000 }, (_, n) =>
        store.commit({ appends: [append(session('a'), { evidence: { n } })] }),
      );
      const results = await Promise.all(commits);
      expect(results.every(({ ok }) => ok)).toBe(true);
      const seen = new Set(numbers(await store.read(session('a'))));
      expect(seen.size).toBe(1000);
      expect(await verdict(store, session('a'))).toMatchObject({ ok: true, end: { seq: 1000 } });
    });

    test('a newer lease epoch refuses the old holder, and nobody who needs no lease', async () => {
      const store = await bench.open();
      const key = chainLeaseKey(session('a'));
      await store.claim(key, 'one', AT, 10);
      const first = await store.commit({ appends: [append(session('a'), { when: { epoch: 1 } })] });
      await store.claim(key, 'two', AT + 20, 10);
      const stale = await store.commit({ appends: [append(session('a'), { when: { epoch: 1 } })] });
      expect(first.ok).toBe(true);
      expect(stale).toEqual({ ok: false, refused: 'fenced', chain: session('a'), epoch: 2 });
      expect((await store.commit({ appends: [append(session('a'), { when: { epoch: 2 } })] })).ok).toBe(true);
      expect((await store.commit({ appends: [append(session('a'))] })).ok).toBe(true);
    });

    test('an epoch that a record carries fences older ones, whatever the lease table says', async () => {
      const store = await bench.open();
      await store.commit({ appends: [append(session('a'), { when: { epoch: 5 } })] });
      const older = await store.commit({ appends: [append(session('a'), { when: { epoch: 4 } })] });
      expect(older).toEqual({ ok: false, refused: 'fenced', chain: session('a'), epoch: 5 });
    });

    test('names that an engine would change are refused before anything is written', async () => {
      const store = await bench.open();
      for (const id of ['', 'a\0b', 'a\ud800', 'x'.repeat(1025)]) {
        const attempt = store.commit({ appends: [append(session(id))] });
        await expect(attempt).rejects.toMatchObject({ code: 'INVALID_INPUT' });
      }
      const fraction = store.commit({ counters: [{ key: 'acme|n', add: Number.NaN }] });
      await expect(fraction).rejects.toMatchObject({ code: 'INVALID_INPUT' });
      expect((await store.chains({ limit: 10 })).items).toEqual([]);
    });
  });

  describe('atomicity', () => {
    test('a refusal of any part leaves no trace of the other parts', async () => {
      const store = await bench.open();
      await store.commit({ rows: [{ row: row('r') }], counters: [{ key: 'acme|full', add: 5 }] });
      const rest = {
        appends: [append(session('new'))],
        rows: [{ row: row('other') }],
        counters: [{ key: 'acme|n', add: 1 }],
        timers: [{ tenant: 'acme', id: 't', dueAt: AT, payload: {} }],
        blobs: [{ tenant: 'acme', key: 'b', bytes: Buffer.from('x') }],
      };
      const refusals = [
        await store.commit({ ...rest, guards: [{ key: 'acme|full', is: 4 }] }),
        await store.commit({ ...rest, counters: [...rest.counters, { key: 'acme|full', add: 1, max: 5 }] }),
        await store.commit({ ...rest, rows: [...rest.rows, { row: row('r'), when: 'absent' }] }),
        await store.commit({
          ...rest,
          appends: [...rest.appends, append(session('b'), { when: { seq: 7 } })],
        }),
      ];
      expect(refusals).toEqual([
        { ok: false, refused: 'guard', key: 'acme|full', value: 5 },
        { ok: false, refused: 'counter', key: 'acme|full', value: 5, max: 5 },
        { ok: false, refused: 'row', kind: 'request', id: 'r', version: 1 },
        { ok: false, refused: 'conflict', chain: session('b'), head: 0 },
      ]);
      expect(await store.head(session('new'))).toBeUndefined();
      expect(await store.row('request', 'acme', 'other')).toBeUndefined();
      expect(await store.counter('acme|n')).toBe(0);
      expect(await store.claimTimers('w', AT + 1, 10, 10)).toEqual([]);
      expect(await store.blob('acme', 'b')).toBeUndefined();
    });

    test('commits of one turn share a transaction: the refused one falls, its neighbours stand', async () => {
      const store = await bench.open();
      const results = await Promise.all([
        store.commit({ appends: [append(session('a'), { when: { seq: 0 } })] }),
        store.commit({ appends: [append(session('a'), { when: { seq: 0 } })], rows: [{ row: row('lost') }] }),
        store.commit({ appends: [append(session('a'), { when: { seq: 1 } })] }),
      ]);
      expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
      expect((await store.head(session('a')))?.seq).toBe(2);
      expect(await store.row('request', 'acme', 'lost')).toBeUndefined();
    });

    test('a commit that cannot be written falls alone', async () => {
      const store = await bench.open();
      const broken = { toJSON: () => ({ n: Number.NaN }) } as unknown as { n: number };
      const results = await Promise.allSettled([
        store.commit({ appends: [append(session('a'), { evidence: { n: 1 } })] }),
        store.commit({ rows: [{ row: row('lost') }], appends: [append(session('a'), { evidence: broken })] }),
        store.commit({ appends: [append(session('a'), { evidence: { n: 3 } })] }),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(numbers(await store.read(session('a')))).toEqual([1, 3]);
      expect(await store.row('request', 'acme', 'lost')).toBeUndefined();
    });
  });

  describe('counters, guards and rows', () => {
    test('counters add up to their max and not beyond, also against themselves', async () => {
      const store = await bench.open();
      const move = (add: number, max?: number) =>
        store.commit({ counters: [max === undefined ? { key: 'k', add } : { key: 'k', add, max }] });
      expect(await move(3, 4)).toEqual({ ok: true, heads: [], counters: new Map([['k', 3]]) });
      expect(await move(2, 4)).toEqual({ ok: false, refused: 'counter', key: 'k', value: 3, max: 4 });
      expect(await move(-1)).toMatchObject({ counters: new Map([['k', 2]]) });
      const twice = [
        { key: 'k', add: 1, max: 4 },
        { key: 'k', add: 2, max: 4 },
      ];
      expect(await store.commit({ counters: twice })).toMatchObject({ refused: 'counter', value: 3 });
      expect(await store.counter('k')).toBe(2);
      expect(await move(0.5)).toMatchObject({ counters: new Map([['k', 2.5]]) });
    });

    test('a hundred parallel moves against one max let exactly max through', async () => {
      const store = await bench.open();
      const moves = Array.from({ length: 100 }, () =>
        store.commit({ counters: [{ key: 'k', add: 1, max: 7 }] }),
      );
      const results = await Promise.all(moves);
      expect(results.filter(({ ok }) => ok)).toHaveLength(7);
      expect(await store.counter('k')).toBe(7);
    });

    test('a guard reads the value before the moves of its own commit', async () => {
      const store = await bench.open();
      const once = { guards: [{ key: 'k', is: 0 }], counters: [{ key: 'k', add: 1 }] };
      expect((await store.commit(once)).ok).toBe(true);
      expect(await store.commit(once)).toEqual({ ok: false, refused: 'guard', key: 'k', value: 1 });
    });

    test('rows are written at their version: absent, exact, or any', async () => {
      const store = await bench.open();
      const write = (when?: 'absent' | 'any' | { version: number }) =>
        store.commit({ rows: [when === undefined ? { row: row('r') } : { row: row('r'), when }] });
      expect((await write('absent')).ok).toBe(true);
      expect(await write('absent')).toMatchObject({ refused: 'row', version: 1 });
      expect((await write({ version: 1 })).ok).toBe(true);
      expect(await write({ version: 1 })).toMatchObject({ refused: 'row', version: 2 });
      expect((await write()).ok).toBe(true);
      expect(await store.row('request', 'acme', 'r')).toMatchObject({ version: 3, body: { id: 'r' } });
    });
  });
}
