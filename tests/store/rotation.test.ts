// Owns the proof of the log as a whole: what is in it is said once, its old part is closed under a signature and removed,
// and it goes on from there, after a restart and after a torn write too.
import { generateKeyPairSync, sign } from 'node:crypto';
import { copyFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { verifyStore } from '../../src/inspect/evidence.ts';
import { segmentRecord } from '../../src/inspect/segments.ts';
import type { SegmentSigner } from '../../src/inspect/segments.ts';
import type { Store } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { verifies } from '../e2e/verifies.ts';
import { createRig, SESSION } from '../kernel/rig.ts';
import { testDir, testStore } from './support.ts';

const CHAIN = { tenant: 'local', aggregate: 'session', id: SESSION } as const;

function newSigner(): SegmentSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64'),
  };
}

async function seqs(store: Store): Promise<number[]> {
  return (await store.read(CHAIN)).map((one) => one.header.seq);
}

/** Closes all that the chain holds, and removes it. */
async function rotate(store: Store, signer: SegmentSigner): Promise<void> {
  const head = (await store.head(CHAIN))!;
  const segment = { chain: CHAIN, through: head.seq, hash: head.hash, closedAt: 1 };
  expect(await store.retire(CHAIN, head, 1, { appends: [segmentRecord(segment, signer, 'old')] })).toBe(true);
}

verifies(
  { partial: ['EV-03'] },
  'each receipt stands in it once; closed parts are removed under a signature, and it goes on, also from a torn end',
  async () => {
    const keys = memoryTenantKeys();
    const dir = testDir();
    const path = join(dir, 'runtime.db');
    const store = await testStore(path, keys);
    const signer = newSigner();
    const sound = (of: Store): ReturnType<typeof verifyStore> =>
      verifyStore(of, undefined, [signer.publicKey]);

    // The same call, asked again here and in another process, is one start and one outcome.
    const rig = createRig({ store });
    const other = createRig({ store, instance: 'inst_other', idSeed: 'other', clock: rig.clock });
    const of = { toolCallId: 'call_once' };
    for (const asking of [rig, rig, other])
      expect((await asking.call('note', { n: 1 }, of)).status).toBe('done');
    expect([rig.effects.length, other.effects.length]).toEqual([1, 0]);
    const receipts = (await store.read(CHAIN)).map(({ header, evidence }) =>
      evidence.state === 'present' ? `${evidence.value['receipt_id'] as string}:${header.type}` : '',
    );
    expect(receipts).toHaveLength(2);
    expect(new Set(receipts).size).toBe(2);
    // Nor can a place that is taken be written again.
    const again = { chain: CHAIN, when: { seq: 0 }, type: 'call_started', at: 1, evidence: {} } as const;
    expect((await store.commit({ appends: [again] })).ok).toBe(false);

    await rotate(store, signer);
    expect(await seqs(store)).toEqual([]);
    expect((await rig.call('note', { n: 2 })).status).toBe('done');
    expect(await seqs(store)).toEqual([3, 4]);
    expect(await sound(store)).toMatchObject({ ok: true });
    await rotate(store, signer);
    expect((await rig.call('note', { n: 3 })).status).toBe('done');
    expect(await seqs(store)).toEqual([5, 6]);
    expect(await sound(store)).toMatchObject({ ok: true });
    expect(await verifyStore(store, undefined, [newSigner().publicKey])).toMatchObject({ ok: false });

    // As a process leaves it that ended in the middle of its last write.
    const whole = statSync(`${path}-wal`).size;
    expect((await rig.call('note', { n: 4 })).status).toBe('done');
    const torn = join(dir, 'torn.db');
    for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${torn}${end}`);
    truncateSync(`${torn}-wal`, whole + 100);
    const left = await testStore(torn, keys);
    expect(await seqs(left)).toEqual([5, 6]);
    expect(await sound(left)).toMatchObject({ ok: true });
    const later = createRig({ store: left, idSeed: 'later', clock: rig.clock });
    expect((await later.call('note', { n: 5 })).status).toBe('done');
    expect(await seqs(left)).toEqual([5, 6, 7, 8]);
    expect(await sound(left)).toMatchObject({ ok: true });
  },
);
