// Shows that the nodes of a workflow are erased and removed with it, copies first.
import { expect, test } from 'vitest';
import { removeWork, endedBefore, eraseWork } from '../../src/runtime/retention.ts';
import type { RetentionParts } from '../../src/runtime/retention.ts';
import { chainRecords } from '../../src/inspect/evidence.ts';
import type { StoredRow } from '../../src/store/contract.ts';
import { CALLER, createRig, node } from '../workflows/rig.ts';
import type { Rig } from '../workflows/rig.ts';

const SIGNER = { reason: 'old', signer: undefined as never };

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
  const { generateKeyPairSync, sign } = await import('node:crypto');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const signer = {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (text: string) => sign(null, Buffer.from(text), privateKey).toString('base64'),
  };
  const taken = await removeWork(parts, await rowOf(rig), { ...SIGNER, signer });
  expect(taken).toMatchObject({ sessions: 3, chains: 3 });
  for (const id of [...ids, 'wf']) {
    expect(await states(rig, id)).toEqual([]);
    expect((await rig.store.row('session', 'local', id))?.status).toBe('removed');
  }
  await expect(rig.workflows.inspect(CALLER, 'wf')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
