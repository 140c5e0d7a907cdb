// Shows that the nodes of a workflow are erased and removed with it, copies first.
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { removeWork, endedBefore, eraseWork } from '../../src/runtime/retention.ts';
import type { RetentionParts } from '../../src/runtime/retention.ts';
import { chainRecords, verifyStore } from '../../src/inspect/evidence.ts';
import { segmentRecord } from '../../src/inspect/segments.ts';
import type { SegmentSigner } from '../../src/inspect/segments.ts';
import type { StoredRow } from '../../src/store/contract.ts';
import { CALLER, createRig, node } from '../workflows/rig.ts';
import type { Rig } from '../workflows/rig.ts';
import { open, place } from './rig.ts';

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
  for await (const { evidence } of chainRecords(store, { tenant: 'local', aggregate: 'session', id })) {
    found.push(evidence.state);
  }
  return found;
}

test('the sessions of nodes are erased with their workflow, also when it is asked for twice', async () => {
  const { rig, ids, parts, gone } = await ended();
  const taken = await eraseWork(parts, await rowOf(rig), 'asked for');
  expect(taken).toMatchObject({ sessions: 3, chains: 3 });
  expect(gone).toEqual([...ids, 'wf']);
  for (const id of [...ids, 'wf']) expect(new Set(await states(rig, id))).toEqual(new Set(['erased']));
  expect(await eraseWork(parts, await rowOf(rig), 'again')).toEqual({ sessions: 3, chains: 0, records: 0 });
  expect(new Set(gone.slice(3))).toEqual(new Set([...ids, 'wf']));
});

test('old work is found by its workflow alone, and removed with the sessions of its nodes', async () => {
  const { rig, ids, parts } = await ended();
  const found: string[] = [];
  for await (const { id } of endedBefore(rig.store, 'local', rig.clock.now() + 1)) found.push(id);
  expect(found).toEqual(['wf']);
  for await (const { id } of endedBefore(rig.store, 'local', rig.clock.now())) found.push(id);
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
