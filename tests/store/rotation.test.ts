// Owns the proof of the log as a whole: what is in it is said once and flushed before it is told, its old part is closed under
// a signature and removed, and it goes on from there, after the death of a writer and after a torn write too.
import { generateKeyPairSync, sign } from 'node:crypto';
import { copyFileSync, fstatSync, statSync, truncateSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { verifyStore } from '../../src/inspect/evidence.ts';
import { segmentRecord } from '../../src/inspect/segments.ts';
import type { SegmentSigner } from '../../src/inspect/segments.ts';
import type { Store } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { verifies } from '../e2e/verifies.ts';
import { createRig, SESSION } from '../kernel/rig.ts';
import { startChild, testDir, testStore } from './support.ts';

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

const fs = createRequire(import.meta.url)('node:fs') as {
  fdatasyncSync: (fd: number) => void;
  fdatasync: (fd: number, done: (error: Error | null) => void) => void;
};

/** Sets the files aside at each flush of the log: what a loss of power would leave. */
function setAside(path: string, aside: string): void {
  const take = (): void => {
    for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${aside}${end}`);
  };
  const isOurs = (fd: number): boolean => fstatSync(fd).ino === statSync(`${path}-wal`).ino;
  const { fdatasyncSync, fdatasync } = fs;
  fs.fdatasyncSync = (fd) => {
    fdatasyncSync(fd);
    if (isOurs(fd)) take();
  };
  fs.fdatasync = (fd, done) => {
    if (isOurs(fd)) take(); // what is written while it runs may be left out
    fdatasync(fd, done);
  };
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(fs, { fdatasyncSync, fdatasync });
    syncBuiltinESMExports();
  });
}

verifies(
  ['EV-03'],
  'each receipt stands in it once, flushed before it is told; closed parts are removed under a signature, and it goes on, also after a dead writer and from a torn end',
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

    // What is told lies on the disk by then.
    const aside = join(dir, 'aside.db');
    setAside(path, aside);
    expect((await rig.call('note', { n: 30 })).status).toBe('done');
    const flushed = await testStore(aside, keys);
    expect(await seqs(flushed)).toEqual([5, 6, 7, 8]);
    await flushed.close();

    // A process that dies in the middle of its commits holds nobody up.
    const child = startChild('append-loop.mjs', [path, join(dir, 'keys'), 'other', '100000']);
    await child.said('ack 20');
    child.process.kill('SIGKILL');
    await child.ended;
    expect((await rig.call('note', { n: 31 })).status).toBe('done');
    expect(await seqs(store)).toEqual([5, 6, 7, 8, 9, 10]);
    expect(await sound(store)).toMatchObject({ ok: true });

    // As a process leaves it that ended in the middle of its last write.
    const whole = statSync(`${path}-wal`).size;
    expect((await rig.call('note', { n: 4 })).status).toBe('done');
    const torn = join(dir, 'torn.db');
    for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${torn}${end}`);
    truncateSync(`${torn}-wal`, whole + 100);
    const left = await testStore(torn, keys);
    expect(await seqs(left)).toEqual([5, 6, 7, 8, 9, 10]);
    expect(await sound(left)).toMatchObject({ ok: true });
    const later = createRig({ store: left, idSeed: 'later', clock: rig.clock });
    expect((await later.call('note', { n: 5 })).status).toBe('done');
    expect(await seqs(left)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
    expect(await sound(left)).toMatchObject({ ok: true });
  },
);
