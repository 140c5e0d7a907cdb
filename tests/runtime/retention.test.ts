// Shows that the nodes of a workflow are erased and removed with it, copies first.
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { isoTime } from '../../src/base/clock.ts';
import { endedBefore } from '../../src/runtime/ended-work.ts';
import { eraseWork, removeWork } from '../../src/runtime/retention.ts';
import type { RetentionParts } from '../../src/runtime/retention.ts';
import { chainRecords, verifyStore } from '../../src/inspect/evidence.ts';
import { segmentRecord } from '../../src/inspect/segments.ts';
import type { SegmentSigner } from '../../src/inspect/segments.ts';
import type { StoredRow } from '../../src/store/contract.ts';
import { CALLER, createRig, node } from '../workflows/rig.ts';
import type { Rig } from '../workflows/rig.ts';
import { IO, open, PERSON, place, ticket } from './rig.ts';
import type { Bench } from './rig.ts';

const DAY = 24 * 60 * 60_000;
const ANSWERED = { kind: 'answered', decision: 'approve', latencyMs: 4000 } as const;

function newSigner(): SegmentSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64'),
  };
}

async function ended(): Promise<{ rig: Rig; ids: string[]; parts: RetentionParts; gone: string[] }> {
  const rig = createRig();
  const workflow = { session_id: 'wf', nodes: [node('a'), node('b', { depends_on: ['a'] })] };
  await rig.workflows.start(CALLER, { workflow }, rig.io);
  const ids = [...rig.sessions.all.keys()];
  for (const id of ids) {
    const parent = { workflow_id: 'wf', node_id: 'a', attempt: 1, iteration: 1 };
    const chain = { tenant: 'local', aggregate: 'session' as const, id };
    await rig.store.commit({
      appends: [{ chain, when: { seq: 0 }, type: 'session_started', at: 0, evidence: { said: 'a secret' } }],
      rows: [
        {
          row: {
            kind: 'session',
            tenant: 'local',
            id,
            principal: CALLER.principal,
            status: 'completed',
            updatedAt: 0,
            body: { parent },
          },
        },
      ],
    });
  }
  const gone: string[] = [];
  const copies = { remove: async (id: string) => void gone.push(id) };
  return { rig, ids, gone, parts: { store: rig.store, clock: rig.clock, copies } };
}

const rowOf = async ({ store }: Rig): Promise<StoredRow> => (await store.row('session', 'local', 'wf'))!;

async function states({ store }: Rig, id: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { header, evidence } of chainRecords(store, {
    tenant: 'local',
    aggregate: 'session',
    id,
  })) {
    if (header.type !== 'payload_erased') found.push(evidence.state);
  }
  return found;
}

test('the sessions of nodes are erased with their workflow, also when it is asked for twice', async () => {
  const { rig, ids, parts, gone } = await ended();
  const taken = await eraseWork(parts, await rowOf(rig), 'asked for');
  expect(taken).toMatchObject({ sessions: 3, chains: 3 });
  // Afterwards once more: another process may have made a copy meanwhile.
  expect(gone).toEqual([...ids, 'wf', ...ids, 'wf']);
  for (const id of [...ids, 'wf']) expect(new Set(await states(rig, id))).toEqual(new Set(['erased']));
  expect(await eraseWork(parts, await rowOf(rig), 'again')).toEqual({ sessions: 3, chains: 0, records: 0 });
  expect(new Set(gone.slice(6))).toEqual(new Set([...ids, 'wf']));
});

test('old work is found by its workflow alone, and removed with the sessions of its nodes', async () => {
  const { rig, ids, parts } = await ended();
  const found: string[] = [];
  for await (const { id } of endedBefore(rig, 'local', rig.clock.now() + 1)) found.push(id);
  expect(found).toEqual(['wf']);
  for await (const { id } of endedBefore(rig, 'local', rig.clock.now())) found.push(id);
  expect(found).toEqual(['wf']);
  const signer = newSigner();
  const taken = await removeWork(parts, await rowOf(rig), { reason: 'old', signer });
  expect(taken).toMatchObject({ sessions: 3, chains: 3 });
  for (const id of [...ids, 'wf']) {
    expect(await states(rig, id)).toEqual([]);
    expect((await rig.store.row('session', 'local', id))?.status).toBe('removed');
  }
  await expect(rig.workflows.inspect(CALLER, 'wf')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a word that was signed for one removal counts for no other, nor does one of another key', async () => {
  const { rig, ids } = await ended();
  const { store } = rig;
  const [mine, ours] = [newSigner(), newSigner()];
  const chain = { tenant: 'local', aggregate: 'session' as const, id: ids[0] ?? '' };
  const head = (await store.head(chain))!;
  const segment = { chain, through: head.seq, hash: head.hash, closedAt: 0 };
  const forged = segmentRecord(segment, { ...ours, sign: mine.sign }, 'forged');
  await store.retire(chain, head, 0, { appends: [forged] });
  const verdict = await verifyStore(store, undefined, [ours.publicKey]);
  expect(verdict).toMatchObject({ ok: false, bad: [{ chain, seq: 1, fault: 'segment signature' }] });
  await store.commit({ appends: [segmentRecord({ ...segment, hash: 'f'.repeat(64) }, ours, 'another')] });
  const other = await verifyStore(store, undefined, [ours.publicKey]);
  expect(other).toMatchObject({ ok: false, bad: [{ chain, fault: 'link' }] });
});

test('what an escalation said goes with its session', async () => {
  const { clock, model, runtime, turn } = await open(await place());
  const says = (status: string): void =>
    model.next({ text: JSON.stringify({ status, assistant_message: 'a private word' }) });
  says('escalate');
  const { session_id: id } = await turn();
  says('complete');
  await turn({ session_id: id, messages: [{ role: 'user', content: 'go on' }] });
  const { store } = runtime;
  const items = async (): Promise<StoredRow[]> =>
    (await store.list({ kind: 'item', tenant: CALLER.tenant, ref: id, limit: 5 })).items;
  expect(await items()).toMatchObject([{ status: 'closed', body: { reason: 'a private word' } }]);
  const parts = { store, clock, copies: { remove: async () => undefined } };
  const session = await store.row('session', CALLER.tenant, id);
  await removeWork(parts, session!, { signer: newSigner(), reason: 'old' });
  const [item] = await items();
  expect(item).toMatchObject({ status: 'removed' });
  expect(JSON.stringify(item)).not.toContain('private');
});

const NO_COPIES = { remove: async (): Promise<void> => undefined };

/** A session that has paid, on an approval, and was then handed to a person; all of it quotes one word. */
async function spoken(): Promise<{ bench: Bench; id: string; approval: string; parts: RetentionParts }> {
  const bench = await open(await place());
  const { clock, model, runtime } = bench;
  const asked = await bench.ask('pay', { amount: 1, to: 'a private word' });
  const approval = ticket(await bench.run(asked));
  await runtime.deliverApproval(PERSON, approval, { ...ANSWERED, note: 'a private word' });
  await bench.run(asked);
  model.next({ text: JSON.stringify({ status: 'escalate', assistant_message: 'a private word' }) });
  const { session_id: id } = asked;
  await bench.turn({ session_id: id, messages: [] });
  return { bench, id, approval, parts: { store: runtime.store, clock, copies: NO_COPIES } };
}

const sessionRow = async ({ runtime }: Bench, id: string): Promise<StoredRow> =>
  (await runtime.store.row('session', CALLER.tenant, id))!;

test('after an erasure nothing that is listed holds what was said', async () => {
  const { bench, id, approval, parts } = await spoken();
  const { store } = bench.runtime;
  const rows = async (): Promise<string> => {
    const kinds = ['session', 'request', 'approval', 'item', 'run', 'idempotency'] as const;
    const pages = kinds.map((kind) => store.list({ kind, tenant: CALLER.tenant, limit: 50 }));
    return JSON.stringify(await Promise.all(pages));
  };
  expect(await rows()).toContain('private');
  await eraseWork(parts, await sessionRow(bench, id), 'asked for');
  expect(await rows()).not.toContain('private');
  const { state, timeline } = await bench.runtime.inspect(CALLER, 'approval', approval);
  expect(state).toMatchObject({
    status: 'consumed',
    tool: 'pay',
    arguments: {},
    erased_at: isoTime(parts.clock.now()),
  });
  expect(timeline.at(-1)).toMatchObject({ type: 'payload_erased', seqs: [[1, 4]], reason: 'asked for' });
  expect(await eraseWork(parts, await sessionRow(bench, id), 'again')).toMatchObject({ chains: 0 });
});

test('what was erased is removed whole, approvals with it, also what could go on: nobody can end it first', async () => {
  const { bench, id, approval, parts } = await spoken();
  const { runtime } = bench;
  await eraseWork(parts, await sessionRow(bench, id), 'asked for');
  expect((await sessionRow(bench, id)).status).toBe('escalated');
  await expect(runtime.cancel(CALLER, { session_id: id })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const found: string[] = [];
  for await (const one of endedBefore(parts, CALLER.tenant, parts.clock.now() + 1)) found.push(one.id);
  expect(found).toEqual([id]);
  await removeWork(parts, await sessionRow(bench, id), { signer: newSigner(), reason: 'old' });
  const chain = { tenant: CALLER.tenant, aggregate: 'approval' as const, id: approval };
  expect(await runtime.store.read(chain)).toEqual([]);
  expect((await runtime.store.row('approval', CALLER.tenant, approval))?.status).toBe('removed');
});

test.each(['rejected', 'canceled'] as const)(
  'the approval of a call that was %s goes with its session, also after an erasure',
  async (how) => {
    const bench = await open(await place());
    const { clock, runtime } = bench;
    const asked = await bench.ask('pay', { amount: 1 });
    const approval = ticket(await bench.run(asked));
    if (how === 'rejected') {
      await runtime.deliverApproval(PERSON, approval, { ...ANSWERED, decision: 'reject' });
      expect(await bench.run(asked)).toMatchObject({ status: 'denied' });
    }
    await runtime.cancel(CALLER, { session_id: asked.session_id });
    const parts = { store: runtime.store, clock, copies: NO_COPIES };
    await eraseWork(parts, await sessionRow(bench, asked.session_id), 'asked for');
    await removeWork(parts, await sessionRow(bench, asked.session_id), {
      signer: newSigner(),
      reason: 'old',
    });
    expect((await runtime.store.row('approval', CALLER.tenant, approval))?.status).toBe('removed');
    const chain = { tenant: CALLER.tenant, aggregate: 'approval' as const, id: approval };
    expect(await runtime.store.read(chain)).toEqual([]);
  },
);

test('an approval that can still be answered or used keeps its session from being erased', async () => {
  const bench = await open(await place());
  const { clock, runtime } = bench;
  const asked = await bench.ask('pay', { amount: 1 });
  const approval = ticket(await bench.run(asked));
  const parts = { store: runtime.store, clock, copies: NO_COPIES };
  const row = await sessionRow(bench, asked.session_id);
  const refused = { code: 'CONFLICT', details: { approval_id: approval } };
  await expect(eraseWork(parts, row, 'asked for')).rejects.toMatchObject(refused);
  await runtime.deliverApproval(PERSON, approval, ANSWERED);
  await expect(eraseWork(parts, row, 'asked for')).rejects.toMatchObject(refused);
  expect(await bench.run(asked)).toMatchObject({ status: 'done' });
  expect(await eraseWork(parts, row, 'asked for')).toMatchObject({ chains: 2 });
});

test('the session of calls that name none is removed when no call can be added to it', async () => {
  const bench = await open(await place());
  const { clock, runtime } = bench;
  const { store } = runtime;
  await runtime.callCapability(CALLER, { tool: 'look', args: {} }, IO);
  const { items } = await store.list({ kind: 'session', tenant: CALLER.tenant, limit: 5 });
  const [row] = items;
  expect(items).toMatchObject([{ status: 'open', body: { kind: 'default' } }]);
  const found = async (before: number): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of endedBefore({ store, clock }, CALLER.tenant, before)) ids.push(id);
    return ids;
  };
  const parts = { store, clock, copies: NO_COPIES };
  const by = { signer: newSigner(), reason: 'old' };
  clock.advance(2 * DAY - 1);
  expect(await found(clock.now())).toEqual([]);
  await expect(removeWork(parts, row!, by)).rejects.toMatchObject({ code: 'CONFLICT' });
  clock.advance(1);
  expect(await found(row!.updatedAt)).toEqual([]);
  expect(await found(clock.now())).toEqual([row!.id]);
  expect(await removeWork(parts, row!, by)).toMatchObject({ sessions: 1, chains: 1 });
  expect(await verifyStore(store, undefined, [by.signer.publicKey])).toMatchObject({ ok: true });
  // The next call begins another.
  expect(await runtime.callCapability(CALLER, { tool: 'look', args: {} }, IO)).toMatchObject({
    status: 'done',
  });
});

test('a workflow whose branch failed is left alone while its others still wait for their time', async () => {
  const rig = createRig({ a: [{ fail: 'INTERNAL' }] });
  const wake_at = '2026-06-01T00:00:00Z';
  const nodes = [node('a'), node('b', { wake_at })];
  const workflow = { session_id: 'wf', nodes, failure_policy: 'continue' };
  await rig.workflows.start(CALLER, { workflow }, rig.io);
  const parts = { store: rig.store, clock: rig.clock, copies: { remove: () => Promise.resolve() } };
  const found = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of endedBefore(rig, 'local', Date.parse('2027-01-01'))) ids.push(id);
    return ids;
  };
  expect((await rowOf(rig)).status).toBe('error');
  expect(await found()).toEqual([]);
  const removed = removeWork(parts, await rowOf(rig), { reason: 'old', signer: newSigner() });
  await expect(removed).rejects.toMatchObject({ code: 'CONFLICT' });
  await expect(eraseWork(parts, await rowOf(rig), 'old')).rejects.toMatchObject({ code: 'CONFLICT' });
  rig.clock.advance(Date.parse(wake_at) - rig.clock.now());
  await rig.fire();
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ over: true, completed_node_ids: ['b'] });
  expect(await found()).toEqual(['wf']);
});
