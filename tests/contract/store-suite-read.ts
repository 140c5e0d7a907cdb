// Owns the part of the store suite about what is read: payloads, scans, chains, lists, snapshots, content, erasure.
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import type { StoredRow } from '../../src/store/contract.ts';
import { checkChain } from '../../src/store/chain.ts';
import type { Bench } from './store-suite.ts';
import { addMany, append, AT, numbers, row, session, verdict } from './store-words.ts';

async function pages(list: (cursor?: string) => Promise<{ items: StoredRow[]; nextCursor?: string }>) {
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await list(cursor);
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return seen;
}

export function readSuite(bench: Bench): void {
  describe('records', () => {
    verifies(
      { partial: ['WF-22'] },
      `payloads come back as they were given, the sealed one only when asked for (${bench.name})`,
      async () => {
        const store = await bench.open();
        const evidence = { text: 'é \u0000 "quoted" 🙂', nested: [{ b: 1, a: null }] };
        const sealed = ['exact', { arguments: { path: '/etc/passwd' } }];
        await store.commit({ appends: [append(session('a'), { evidence, sealed })] });
        const [record] = await store.read(session('a'));
        expect(record!.evidence).toEqual({ state: 'present', value: evidence });
        expect(JSON.stringify(record)).not.toContain('passwd');
        expect(await store.unseal(session('a'), 1)).toEqual({ state: 'present', value: sealed });
      },
    );

    test('unseal of a record without a sealed payload, or of no record, is NOT_FOUND', async () => {
      const store = await bench.open();
      await store.commit({ appends: [append(session('a'))] });
      for (const seq of [1, 2]) {
        await expect(store.unseal(session('a'), seq)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
    });

    test('reads parts of a chain, and nothing of an unknown one', async () => {
      const store = await bench.open();
      await addMany(store, session('a'), 5);
      expect(numbers(await store.read(session('a'), 2, 3))).toEqual([2, 3, 4]);
      expect(numbers(await store.read(session('a'), 5))).toEqual([5]);
      expect(await store.read(session('a'), 6)).toEqual([]);
      expect(await store.read(session('none'))).toEqual([]);
      await expect(store.read(session('a'), 0)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    });

    test('chains of the same id under other tenants and aggregates are others', async () => {
      const store = await bench.open();
      const keys = [
        session('a'),
        session('a', 'globex'),
        { tenant: 'acme', aggregate: 'approval' as const, id: 'a' },
        session('b/a', 'acme'),
        session('a', 'acme/b'),
      ];
      for (const [index, chain] of keys.entries()) {
        await store.commit({ appends: [append(chain, { when: { seq: 0 }, evidence: { n: index } })] });
      }
      for (const [index, chain] of keys.entries()) expect(numbers(await store.read(chain))).toEqual([index]);
    });

    test('scan gives records in order of arrival, by tenant and type, after a position', async () => {
      const store = await bench.open();
      await store.commit({ appends: [append(session('a'), { evidence: { n: 1 } })] });
      await store.commit({ appends: [append(session('x', 'globex'), { evidence: { n: 2 } })] });
      await store.commit({ appends: [append(session('b'), { type: 'call_finished', evidence: { n: 3 } })] });
      await store.commit({ appends: [append(session('a'), { evidence: { n: 4 } })] });
      const all = await store.scan({ limit: 10 });
      expect(numbers(all)).toEqual([1, 2, 3, 4]);
      expect(all.map(({ position }) => position)).toEqual(
        [...all.map((r) => r.position)].sort((a, b) => a - b),
      );
      expect(numbers(await store.scan({ tenant: 'acme', limit: 10 }))).toEqual([1, 3, 4]);
      expect(numbers(await store.scan({ type: 'call_started', limit: 2 }))).toEqual([1, 2]);
      const rest = await store.scan({
        type: 'call_started',
        tenant: 'acme',
        after: all[0]!.position,
        limit: 9,
      });
      expect(numbers(rest)).toEqual([4]);
    });

    test('chains are paged in order of birth, filtered by tenant and aggregate', async () => {
      const store = await bench.open();
      for (const id of ['c', 'a', 'b']) await store.commit({ appends: [append(session(id))] });
      await store.commit({ appends: [append(session('z', 'globex'))] });
      await store.commit({ appends: [append({ ...session('p'), aggregate: 'approval' })] });
      const first = await store.chains({ tenant: 'acme', aggregate: 'session', limit: 2 });
      expect(first.items.map(({ chain }) => chain.id)).toEqual(['c', 'a']);
      const next = await store.chains({
        tenant: 'acme',
        aggregate: 'session',
        limit: 2,
        after: first.nextCursor!,
      });
      expect(next.items.map(({ chain }) => chain.id)).toEqual(['b']);
      expect(next.nextCursor).toBeUndefined();
      expect((await store.chains({ limit: 10 })).items).toHaveLength(5);
      await expect(store.chains({ limit: 1, after: 'x' })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    });

    test('changed waits for a record after the position, or for the end of its signal', async () => {
      const store = await bench.open();
      const never = new AbortController();
      const waiting = store.changed(0, never.signal);
      await store.commit({ appends: [append(session('a'))] });
      expect(await waiting).toBe(true);
      expect(await store.changed(0, never.signal)).toBe(true);
      const [record] = await store.read(session('a'));
      const ended = store.changed(record!.position, never.signal);
      never.abort();
      expect(await ended).toBe(false);
    });
  });

  describe('rows', () => {
    verifies(
      { partial: ['IN-03'] },
      `rows of every kind are kept and listed by kind (${bench.name})`,
      async () => {
        const store = await bench.open();
        const kinds = ['session', 'request', 'approval', 'item', 'capability', 'idempotency'] as const;
        await store.commit({ rows: kinds.map((kind) => ({ row: row('r', { kind, ref: `of-${kind}` }) })) });
        for (const kind of kinds) {
          const { items } = await store.list({ kind, tenant: 'acme', limit: 10 });
          expect(items).toEqual([{ ...row('r', { kind, ref: `of-${kind}` }), version: 1 }]);
        }
      },
    );

    test('a list is newest first, ties by id, and filters by tenant, principal, status and ref', async () => {
      const store = await bench.open();
      const rows = [
        row('b'),
        row('a'),
        row('c', { updatedAt: AT + 1, status: 'done' }),
        row('d', { principal: 'bob', ref: 's1' }),
        row('e', { tenant: 'globex' }),
      ];
      await store.commit({ rows: rows.map((one) => ({ row: one })) });
      const ids = async (over: object) => {
        const page = await store.list({ kind: 'request', tenant: 'acme', limit: 10, ...over });
        return page.items.map(({ id }) => id).join('');
      };
      expect(await ids({})).toBe('cabd');
      expect(await ids({ status: 'open' })).toBe('abd');
      expect(await ids({ principal: 'bob' })).toBe('d');
      expect(await ids({ ref: 's1', status: 'open', principal: 'bob' })).toBe('d');
      expect(await ids({ ref: 's1', status: 'done' })).toBe('');
    });

    test('a list of the oldest is the same list backwards, ties and pages too', async () => {
      const store = await bench.open();
      const rows = Array.from({ length: 24 }, (_, n) =>
        row(`r${String(n).padStart(2, '0')}`, {
          updatedAt: AT + (n % 5),
          status: n % 2 === 0 ? 'open' : 'done',
          ref: n % 3 === 0 ? 's1' : 's2',
          principal: n % 4 === 0 ? 'bob' : 'alice',
        }),
      );
      await store.commit({ rows: rows.map((one) => ({ row: one })) });
      const all = (order: 'newest' | 'oldest', over: object) =>
        pages((cursor) =>
          store.list({
            kind: 'request',
            tenant: 'acme',
            order,
            limit: 4,
            ...over,
            ...(cursor && { cursor }),
          }),
        );
      const bob = { principal: 'bob' };
      for (const over of [{}, { status: 'open' }, bob, { status: 'open', ...bob }, { ref: 's1' }]) {
        const oldest = await all('oldest', over);
        expect(oldest.length).toBeGreaterThan(3);
        expect(oldest).toEqual([...(await all('newest', over))].reverse());
      }
      expect((await all('oldest', {})).slice(0, 2)).toEqual(['r20', 'r15']);
    });

    test('paging neither repeats nor loses a row while newer ones arrive', async () => {
      const store = await bench.open();
      const old = Array.from({ length: 25 }, (_, n) =>
        row(`r${String(n).padStart(2, '0')}`, { updatedAt: AT + (n % 5) }),
      );
      await store.commit({ rows: old.map((one) => ({ row: one })) });
      let added = 0;
      const seen = await pages(async (cursor) => {
        const page = await store.list({
          kind: 'request',
          tenant: 'acme',
          limit: 4,
          ...(cursor && { cursor }),
        });
        added += 1;
        await store.commit({ rows: [{ row: row(`new${added}`, { updatedAt: AT + 100 + added }) }] });
        return page;
      });
      expect([...seen].sort()).toEqual(old.map(({ id }) => id));
    });

    test('a page over 200 and a cursor from elsewhere are refused', async () => {
      const store = await bench.open();
      const query = { kind: 'request' as const, tenant: 'acme' };
      for (const wrong of [{ limit: 201 }, { limit: 0 }, { limit: 5, cursor: 'garbage' }]) {
        await expect(store.list({ ...query, ...wrong })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
      }
    });
  });

  describe('snapshots and content', () => {
    test('the newest snapshot of a chain is kept, an older one does not replace it', async () => {
      const store = await bench.open();
      await addMany(store, session('a'), 3);
      const [, second, third] = await store.read(session('a'));
      expect(await store.snapshot(session('a'))).toBeUndefined();
      await store.saveSnapshot(session('a'), 3, third!.hash, { messages: ['exact'] });
      await store.saveSnapshot(session('a'), 2, second!.hash, { messages: [] });
      const kept = { seq: 3, hash: third!.hash, state: { messages: ['exact'] } };
      expect(await store.snapshot(session('a'))).toEqual(kept);
    });

    test('content of every size comes back, per tenant', async () => {
      const store = await bench.open();
      for (const size of [0, 20_000, 1024 * 1024 + 1]) {
        const bytes = new Uint8Array(size).fill(7);
        await store.commit({ blobs: [{ tenant: 'acme', key: `k/${size}`, bytes }] });
        expect(Buffer.compare((await store.blob('acme', `k/${size}`))!, bytes)).toBe(0);
        expect(await store.blob('globex', `k/${size}`)).toBeUndefined();
      }
    });
  });

  describe('erasure', () => {
    test('payloads go, the chain verifies, and it and the workspace chain say what and why', async () => {
      const store = await bench.open();
      const appends = [1, 2, 3].map((n) => append(session('a'), { evidence: { n }, sealed: { secret: n } }));
      await store.commit({ appends });
      await store.saveSnapshot(session('a'), 3, (await store.head(session('a')))!.hash, {});
      await store.erase(session('a'), [1, 2], AT, 'right to erasure');
      const records = await store.read(session('a'));
      expect(numbers(records)).toEqual(['erased', 'erased', 3, undefined]);
      expect(records[0]!.evidenceBytes).toBeUndefined();
      expect(checkChain(session('a'), records).ok).toBe(true);
      expect(await store.unseal(session('a'), 1)).toEqual({ state: 'erased' });
      expect(await store.unseal(session('a'), 3)).toEqual({ state: 'present', value: { secret: 3 } });
      expect(await store.snapshot(session('a'))).toBeUndefined();
      const workspace = { tenant: 'acme', aggregate: 'workspace', id: 'workspace' } as const;
      // Its own head moves too: whoever holds something of the chain in memory sees that.
      for (const said of [(await store.read(workspace))[0], records[3]]) {
        expect(said!.header.type).toBe('payload_erased');
        expect(said!.evidence).toEqual({
          state: 'present',
          value: { chain: session('a'), seqs: [[1, 2]], reason: 'right to erasure' },
        });
      }
    });

    test('all payloads of a chain go, but never the records of erasures', async () => {
      const store = await bench.open();
      await addMany(store, session('a'), 4);
      await store.erase(session('a'), 'all', AT, 'retention');
      expect(numbers(await store.read(session('a'), 1, 4))).toEqual(Array(4).fill('erased'));
      await expect(store.erase(session('a'), [5], AT, 'hide')).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
      expect(await verdict(store, session('a'))).toMatchObject({ ok: true });
      const workspace = { tenant: 'acme', aggregate: 'workspace', id: 'workspace' } as const;
      await expect(store.erase(workspace, 'all', AT, 'hide')).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
      await expect(store.erase(session('b'), 'all', AT, '')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(store.erase(session('a'), [99], AT, '')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    });
  });
}
