// Owns the part of the store suite about what is held for a time or by somebody: leases, timers, peers, backup, closing.
import { describe, expect, test } from 'vitest';
import type { Lease } from '../../src/store/contract.ts';
import type { Bench } from './store-suite.ts';
import { addMany, append, AT, numbers, session, verdict } from './store-words.ts';

export function holdSuite(bench: Bench): void {
  describe('leases', () => {
    test('the epoch rises with each owner, a renewal keeps it, the held lease is shown to others', async () => {
      const store = await bench.open();
      const taken = await store.claim('k', 'one', AT, 100);
      expect(taken).toEqual({ ok: true, lease: { key: 'k', owner: 'one', epoch: 1, until: AT + 100 } });
      const renewed = await store.claim('k', 'one', AT + 50, 100);
      expect(renewed).toEqual({ ok: true, lease: { key: 'k', owner: 'one', epoch: 1, until: AT + 150 } });
      const refused = await store.claim('k', 'two', AT + 149, 100);
      expect(refused).toEqual({ ok: false, holder: { key: 'k', owner: 'one', epoch: 1, until: AT + 150 } });
      const passed = await store.claim('k', 'two', AT + 150, 100);
      expect(passed).toEqual({ ok: true, lease: { key: 'k', owner: 'two', epoch: 2, until: AT + 250 } });
    });

    test('a release frees the lease, but only by its present holder, and the epoch still rises', async () => {
      const store = await bench.open();
      const claim = async (owner: string, now: number): Promise<Lease> => {
        const result = await store.claim('k', owner, now, 100);
        return result.ok ? result.lease : result.holder;
      };
      const first = await claim('one', AT);
      const second = await claim('two', AT + 200);
      await store.release(first);
      expect((await claim('three', AT + 201)).owner).toBe('two');
      await store.release(second);
      expect(await claim('two', AT + 202)).toMatchObject({ owner: 'two', epoch: 3 });
    });

    test('of many claims at once one gets the lease', async () => {
      const store = await bench.open();
      const claims = Array.from({ length: 30 }, (_, n) => store.claim('k', `w${n}`, AT, 100));
      expect((await Promise.all(claims)).filter(({ ok }) => ok)).toHaveLength(1);
    });
  });

  describe('timers', () => {
    const timer = (id: string, dueAt: number) => ({ tenant: 'acme', id, dueAt, payload: { id } });

    test('a due timer is given once, and again only after its time', async () => {
      const store = await bench.open();
      await store.commit({ timers: [timer('b', AT + 2), timer('a', AT + 1), timer('later', AT + 50)] });
      expect(await store.claimTimers('w', AT, 10, 5)).toEqual([]);
      const taken = await store.claimTimers('w', AT + 5, 10, 5);
      expect(taken.map(({ id, epoch }) => [id, epoch])).toEqual([
        ['a', 1],
        ['b', 1],
      ]);
      expect(taken[0]!.payload).toEqual({ id: 'a' });
      expect(await store.claimTimers('v', AT + 14, 10, 5)).toEqual([]);
      const again = await store.claimTimers('v', AT + 15, 10, 5);
      expect(again.map(({ id, epoch }) => [id, epoch])).toEqual([
        ['a', 2],
        ['b', 2],
      ]);
    });

    test('a cancelled timer never comes, a timer set again comes at its new time', async () => {
      const store = await bench.open();
      await store.commit({ timers: [timer('a', AT), timer('b', AT)] });
      await store.commit({ cancelTimers: [{ tenant: 'acme', id: 'a' }], timers: [timer('b', AT + 10)] });
      expect(await store.claimTimers('w', AT + 5, 10, 5)).toEqual([]);
      expect((await store.claimTimers('w', AT + 10, 10, 5)).map(({ id }) => id)).toEqual(['b']);
    });

    test('a claim takes no more than its limit, the longest waiting first', async () => {
      const store = await bench.open();
      await store.commit({ timers: [timer('c', AT + 3), timer('a', AT + 1), timer('b', AT + 2)] });
      expect((await store.claimTimers('w', AT + 9, 10, 2)).map(({ id }) => id)).toEqual(['a', 'b']);
      expect((await store.claimTimers('w', AT + 9, 10, 2)).map(({ id }) => id)).toEqual(['c']);
    });
  });

  test('a closed store refuses everything, twice closing is no harm, waiters are let go', async () => {
    const store = await bench.open();
    const waiting = store.changed(0, new AbortController().signal);
    await store.close();
    await store.close();
    expect(await waiting).toBe(false);
    await expect(store.commit({ appends: [append(session('a'))] })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await expect(store.read(session('a'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('the report names the engine and says that it can write', async () => {
    const report = await (await bench.open()).report();
    expect(report).toMatchObject({ damage: [], writable: true });
  });

  if (bench.has('peers')) peerSuite(bench);
  if (bench.has('backup')) backupSuite(bench);
}

function peerSuite(bench: Bench): void {
  describe('two stores over the same data', () => {
    test('both append to one chain, nothing is lost and the chain verifies', async () => {
      const [one, two] = [await bench.open(), await bench.peer()];
      const work = Array.from({ length: 200 }, (_, n) =>
        (n % 2 === 0 ? one : two).commit({ appends: [append(session('a'), { evidence: { n } })] }),
      );
      await Promise.all(work);
      expect(new Set(numbers(await two.read(session('a')))).size).toBe(200);
      expect(await verdict(one, session('a'))).toMatchObject({ ok: true, end: { seq: 200 } });
    });

    test('read-modify-write by seq loses no update', async () => {
      const stores = [await bench.open(), await bench.peer()];
      const add = async (store: (typeof stores)[number]): Promise<void> => {
        for (;;) {
          const seq = (await store.head(session('a')))?.seq ?? 0;
          const step = append(session('a'), { when: { seq }, evidence: { n: seq + 1 } });
          if ((await store.commit({ appends: [step] })).ok) return;
        }
      };
      await Promise.all(
        stores.map(async (store) => {
          for (let n = 0; n < 50; n++) await add(store);
        }),
      );
      expect(numbers(await stores[0]!.read(session('a')))).toEqual(
        Array.from({ length: 100 }, (_, n) => n + 1),
      );
    });

    test('a due timer goes to one of them', async () => {
      const [one, two] = [await bench.open(), await bench.peer()];
      const timers = Array.from({ length: 40 }, (_, n) => ({
        tenant: 'acme',
        id: `t${n}`,
        dueAt: AT,
        payload: {},
      }));
      await one.commit({ timers });
      const claims = [one, two, one, two].map((store, n) => store.claimTimers(`w${n}`, AT, 1000, 15));
      const taken = (await Promise.all(claims)).flat().map(({ id }) => id);
      expect(taken).toHaveLength(40);
      expect(new Set(taken).size).toBe(40);
    });

    test('changed sees what the other one wrote', async () => {
      const [one, two] = [await bench.open(), await bench.peer()];
      const waiting = two.changed(0, new AbortController().signal);
      await addMany(one, session('a'), 1);
      expect(await waiting).toBe(true);
    });
  });
}

function backupSuite(bench: Bench): void {
  test('a backup refuses an existing path', async () => {
    const store = await bench.open();
    const path = bench.freshPath();
    await store.backup(path);
    await expect(store.backup(path)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
}
