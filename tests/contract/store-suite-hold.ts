// Owns the part of the store suite about what is held for a time or by somebody: leases, timers, peers, backup, closing.
import { describe, expect, test } from 'vitest';
import { SEGMENT_TYPE } from '../../src/store/contract.ts';
import type { ChainKey, Commit, Lease } from '../../src/store/contract.ts';
import type { Bench } from './store-suite.ts';
import { addMany, append, AT, numbers, session, verdict } from './store-words.ts';

export function holdSuite(bench: Bench): void {
  describe('removed beginnings', () => {
    const closing = (chain: ChainKey): Commit => ({
      appends: [append({ ...chain, aggregate: 'workspace', id: 'workspace' }, { type: SEGMENT_TYPE })],
    });

    test('go with what vouches for them, and what is left keeps its seqs, hashes and end', async () => {
      const store = await bench.open();
      const chain = session('long');
      await addMany(store, chain, 6);
      const whole = await store.read(chain);
      await store.saveSnapshot(chain, 4, whole[3]!.hash, { n: 4 });
      const head = await store.head(chain);
      const upTo = { seq: 4, hash: whole[3]!.hash };
      expect(await store.retire(chain, upTo, AT, closing(chain))).toBe(true);
      expect(numbers(await store.read(chain))).toEqual([5, 6]);
      expect(numbers(await store.read(chain, 3, 1))).toEqual([5]);
      expect(numbers(await store.read(chain, 6))).toEqual([6]);
      expect(await store.read(chain)).toEqual(whole.slice(4));
      expect(await store.head(chain)).toEqual(head);
      expect(await store.snapshot(chain)).toBeUndefined();
      expect((await store.scan({ type: 'call_started', limit: 9 })).map(({ header }) => header.seq)).toEqual([
        5, 6,
      ]);
      await addMany(store, chain, 1);
      expect((await store.read(chain)).map(({ header }) => header.seq)).toEqual([5, 6, 7]);
      expect((await store.report()).damage).toEqual([]);
      const last = (await store.head(chain))!;
      expect(await store.retire(chain, last, AT, closing(chain))).toBe(true);
      expect(await store.read(chain)).toEqual([]);
      expect((await store.head(chain))?.seq).toBe(7);
      await addMany(store, chain, 1);
      expect((await store.read(chain)).map(({ header }) => header.seq)).toEqual([8]);
    });

    test('nothing is removed by a wrong hash, without the word for it, or from the chain that holds such words', async () => {
      const store = await bench.open();
      const chain = session('kept');
      await addMany(store, chain, 2);
      const [first] = await store.read(chain);
      const upTo = { seq: 1, hash: first!.hash };
      expect(await store.retire(chain, { seq: 2, hash: first!.hash }, AT, closing(chain))).toBe(false);
      expect(await store.retire(chain, { seq: 9, hash: first!.hash }, AT, closing(chain))).toBe(false);
      const refused = { ...closing(chain), guards: [{ key: 'acme|g', is: 1 }] };
      expect(await store.retire(chain, upTo, AT, refused)).toBe(false);
      expect(numbers(await store.read(chain))).toEqual([1, 2]);
      const workspace: ChainKey = { ...chain, aggregate: 'workspace', id: 'workspace' };
      await addMany(store, workspace, 1);
      const [word] = await store.read(workspace);
      const how = { seq: 1, hash: word!.hash };
      await expect(store.retire(workspace, how, AT, {})).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    });

    test('what vouches for them is never erased', async () => {
      const store = await bench.open();
      const chain = session('gone');
      await addMany(store, chain, 1);
      await store.retire(chain, (await store.head(chain))!, AT, closing(chain));
      const workspace: ChainKey = { ...chain, aggregate: 'workspace', id: 'workspace' };
      await expect(store.erase(workspace, 'all', AT, 'x')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
      expect((await store.read(workspace))[0]?.evidence.state).toBe('present');
    });
  });

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

    test('the longest waiting timer of a tenant is told, as long as nobody has taken it', async () => {
      const store = await bench.open();
      const other = { ...timer('other', AT), tenant: 'globex' };
      await store.commit({ timers: [timer('b', AT + 2), timer('a', AT + 1), other] });
      expect(await store.oldestDue('acme', AT)).toBeUndefined();
      expect(await store.oldestDue('acme', AT + 5)).toBe(AT + 1);
      expect(await store.oldestDue('nobody', AT + 5)).toBeUndefined();
      await store.claimTimers('w', AT + 5, 10, 5);
      expect(await store.oldestDue('acme', AT + 14)).toBeUndefined();
      expect(await store.oldestDue('acme', AT + 20)).toBe(AT + 15);
    });

    test('what is for another agent is left to it, and is not told as waiting', async () => {
      const store = await bench.open();
      const of = (agent: string, dueAt: number) => ({
        ...timer(agent, dueAt),
        payload: { agent_id: agent },
      });
      await store.commit({ timers: [of('theirs', AT), of('ours', AT + 1), timer('any', AT + 2)] });
      const ours = await store.claimTimers('w', AT + 5, 10, 2, 'ours');
      expect(ours.map(({ id }) => id)).toEqual(['ours', 'any']);
      expect(await store.oldestDue('acme', AT + 5, 'ours')).toBeUndefined();
      expect(await store.oldestDue('acme', AT + 5, 'theirs')).toBe(AT);
      expect(await store.oldestDue('acme', AT + 5)).toBe(AT);
      const left = await store.claimTimers('v', AT + 5, 10, 5, 'theirs');
      expect(left.map(({ id, epoch }) => [id, epoch])).toEqual([['theirs', 1]]);
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
