import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import { inspectItem } from '../../src/inspect/inspect.ts';
import { listPage } from '../../src/inspect/lists.ts';
import type { Listed } from '../../src/inspect/lists.ts';
import type { PageQuery } from '../../src/inspect/visible.ts';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import type { Row, Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER } from '../kernel/rig.ts';

const NOW = 1_000_000;

function memoryStore(): Store {
  return createMemoryStore({
    keys: memoryTenantKeys(),
    ids: createFixedIds('lists'),
  });
}

function approval(
  n: number,
  over: { status?: string; tool?: string; session?: string; answerBy?: number },
): Row {
  const id = `apr_${String(n).padStart(5, '0')}`;
  const subject = {
    approvalId: id,
    tool: over.tool ?? 'pay',
    sessionId: over.session ?? 'ses_1',
    reasons: [],
    delegation: { ...NO_DELEGATION },
    requestedAt: n,
    answerBy: over.answerBy ?? NOW + 1,
  };
  return {
    kind: 'approval',
    tenant: 'local',
    id,
    principal: CALLER.principal,
    status: over.status ?? 'pending',
    updatedAt: n,
    body: { subject, deliveries: [], ...(over.status === 'approved' ? { use_by: NOW } : {}) },
  };
}

function request(n: number, tool: string): Row {
  return {
    kind: 'request',
    tenant: 'local',
    id: `call_${String(n).padStart(5, '0')}`,
    principal: CALLER.principal,
    status: 'done',
    ref: n % 2 === 0 ? 'ses_even' : 'ses_odd',
    updatedAt: n,
    body: { tool, session_id: n % 2 === 0 ? 'ses_even' : 'ses_odd' },
  };
}

async function filled(rows: Row[]): Promise<Store> {
  const store = memoryStore();
  await store.commit({ rows: rows.map((row) => ({ row })) });
  return store;
}

/** The pages of a list, by id; and how many rows the store was asked for. */
async function pagesOf(
  store: Store,
  kind: Listed,
  query: PageQuery,
  caller: Caller = CALLER,
): Promise<{ pages: unknown[][]; looked: number }> {
  let looked = 0;
  const counting: Store = {
    ...store,
    list: async (asked) => {
      const page = await store.list(asked);
      looked += page.items.length;
      return page;
    },
  };
  const pages: unknown[][] = [];
  let cursor: string | undefined;
  do {
    const page: { items: JsonObject[]; next_cursor?: string } = await listPage(
      { store: counting, caller, now: NOW },
      kind,
      { ...query, ...(cursor === undefined ? {} : { cursor }) },
    );
    pages.push(page.items.map((one) => one[`${kind}_id`]));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return { pages, looked };
}

verifies(
  { partial: ['AP-04', 'IN-02'] },
  'an approval whose time has passed is listed as expired and nowhere as pending, though nobody recorded it',
  async () => {
    const store = await filled([
      approval(1, { status: 'expired' }),
      approval(2, { answerBy: NOW }),
      approval(3, { status: 'approved' }),
      approval(4, {}),
      approval(5, { status: 'rejected' }),
      approval(6, { answerBy: NOW - 5 }),
    ]);
    const by = async (status: string): Promise<unknown[]> =>
      (await pagesOf(store, 'approval', { filter: { status } })).pages.flat();
    expect(await by('pending')).toEqual(['apr_00004']);
    expect(await by('expired')).toEqual(['apr_00006', 'apr_00003', 'apr_00002', 'apr_00001']);
    expect(await by('approved')).toEqual([]);
    expect(await by('rejected')).toEqual(['apr_00005']);
    const { pages } = await pagesOf(store, 'approval', { filter: { status: 'expired' }, limit: 1 });
    expect(pages).toEqual([['apr_00006'], ['apr_00003'], ['apr_00002'], ['apr_00001']]);
    const { items } = await listPage({ store, caller: CALLER, now: NOW }, 'approval', {});
    expect(items.map((one) => one.status)).toEqual([
      ...['expired', 'rejected', 'pending', 'expired', 'expired', 'expired'],
    ]);
    expect((await store.row('approval', 'local', 'apr_00002'))?.status).toBe('pending');
  },
);

/** A call that waits for an approval. */
function waits(n: number, of: Row): Row {
  const waiting = request(n, 'pay');
  return { ...waiting, status: 'waiting_approval', body: { ...waiting.body, approval_id: of.id } };
}

verifies(
  { partial: ['AP-04', 'IN-02'] },
  'a call whose approval has passed, was rejected or taken back is listed as that and nowhere as waiting',
  async () => {
    const asked = [
      approval(1, {}),
      approval(2, { answerBy: NOW }),
      approval(3, { status: 'approved' }),
      approval(4, { status: 'rejected' }),
      approval(5, { status: 'revoked' }),
      approval(6, { status: 'expired' }),
    ];
    const calls = asked.map((of, n) => waits(n + 1, of));
    const store = await filled([...asked, ...calls, { ...request(7, 'pay'), status: 'expired' }]);
    const by = async (status: string): Promise<unknown[]> =>
      (await pagesOf(store, 'request', { filter: { status }, limit: 1 })).pages;
    expect(await by('waiting_approval')).toEqual([['call_00001']]);
    expect(await by('expired')).toEqual([['call_00007'], ['call_00006'], ['call_00003'], ['call_00002']]);
    expect(await by('denied')).toEqual([['call_00004']]);
    expect(await by('canceled')).toEqual([['call_00005']]);
    const { items } = await listPage({ store, caller: CALLER, now: NOW }, 'request', {});
    const shown = ['expired', 'expired', 'canceled', 'denied', 'expired', 'expired', 'waiting_approval'];
    expect(items.map((one) => one.status)).toEqual(shown);
    const one = await inspectItem({ store, now: NOW }, CALLER, 'request', 'call_00002');
    expect(one.state.status).toBe('expired');
    expect((await store.row('request', 'local', 'call_00002'))?.status).toBe('waiting_approval');
  },
);

test('pages are full when items are filtered by tool or session, and each item comes once', async () => {
  const rows = Array.from({ length: 900 }, (_, n) => request(n, n % 90 === 0 ? 'rare' : 'usual'));
  const store = await filled(rows);
  const { pages } = await pagesOf(store, 'request', { filter: { tool: 'rare' }, limit: 4 });
  expect(pages.map((page) => page.length)).toEqual([4, 4, 2]);
  expect(new Set(pages.flat()).size).toBe(10);
  const odd = await pagesOf(store, 'request', { filter: { session_id: 'ses_odd' }, limit: 200 });
  expect(odd.pages.map((page) => page.length)).toEqual([200, 200, 50]);

  const waits = Array.from({ length: 50 }, (_, n) =>
    approval(n, { session: n % 10 === 0 ? 'ses_a' : 'ses_b' }),
  );
  const approvals = await filled(waits);
  const of = await pagesOf(approvals, 'approval', { filter: { session_id: 'ses_a' }, limit: 3 });
  expect(of.pages.map((page) => page.length)).toEqual([3, 2]);
});

test('a page looks at a bounded number of rows, and goes on from there', async () => {
  const rows = Array.from({ length: 6000 }, (_, n) => request(n, n === 0 ? 'rare' : 'usual'));
  const store = await filled(rows);
  const { pages, looked } = await pagesOf(store, 'request', { filter: { tool: 'rare' }, limit: 10 });
  expect(pages).toEqual([[], ['call_00000']]);
  expect(looked).toBeLessThan(6500);
  const usual = await pagesOf(store, 'request', { filter: { tool: 'usual' }, limit: 200 });
  expect(usual.pages.flat()).toHaveLength(5999);
});

test('a session is found by its id, and a filter that means nothing is refused', async () => {
  const session = (id: string, principal: string): Row => ({
    ...{ kind: 'session', tenant: 'local', id, principal, status: 'open', updatedAt: 1 },
    body: {},
  });
  const store = await filled([session('ses_1', CALLER.principal), session('ses_2', 'os:7')]);
  const find = async (id: string, caller?: Caller): Promise<unknown[]> =>
    (await pagesOf(store, 'session', { filter: { session_id: id } }, caller)).pages.flat();
  expect(await find('ses_1')).toEqual(['ses_1']);
  expect(await find('ses_2')).toEqual([]);
  expect(await find('ses_2', { ...CALLER, roles: ['operator'] })).toEqual(['ses_2']);
  await expect(pagesOf(store, 'session', { filter: { tool: 'pay' } })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  });
  await expect(pagesOf(store, 'request', { cursor: 'nonsense' })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  });
});
