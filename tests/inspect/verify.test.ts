import { expect, test } from 'vitest';
import { verifyStore } from '../../src/inspect/evidence.ts';
import { verifies } from '../e2e/verifies.ts';
import { checkRecord, CHAIN_START } from '../../src/store/chain.ts';
import type { ChainPoint } from '../../src/store/chain.ts';
import { readLine } from '../../src/inspect/export-line.ts';
import { CHAIN, exported, headsOf, judge, sampleStore } from './sample-chain.ts';

test('an untouched chain of 1,000 records verifies, and without an anchor completeness is unknown', async () => {
  const store = await sampleStore(1000);
  expect(judge(await exported(store))).toMatchObject({ ok: true, records: 1000, completeness: 'unknown' });
  expect(await verifyStore(store)).toMatchObject({ ok: true, records: 1000, completeness: 'unknown' });
});

verifies(
  { partial: ['EV-03', 'EV-10'] },
  'every single bit of 50 records, flipped, is found at its own record',
  async () => {
    const lines = await exported(await sampleStore(50));
    const ends = endsOf(lines);
    const missed: string[] = [];
    let flips = 0;
    for (const [index, line] of lines.entries()) {
      const bytes = Buffer.from(line);
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const read = readLine(changed.toString('utf8'));
        flips += 1;
        // What stands before is the untouched prefix, so the changed record is judged where that prefix ends.
        const fault = read.ok ? checkRecord(read.record, ends[index]) : read.why;
        if (fault === undefined) missed.push(`bit ${bit} of record ${index + 1}`);
      }
    }
    expect(missed).toEqual([]);
    expect(flips).toBeGreaterThan(100_000);
  },
  120_000,
);

/** Where the chain stands before each line. */
function endsOf(lines: readonly string[]): ChainPoint[] {
  const ends = [CHAIN_START];
  for (const line of lines) {
    const read = readLine(line);
    if (read.ok) ends.push({ seq: read.record.header.seq, hash: read.record.hash });
  }
  return ends;
}

test('a swap, an insertion and a deletion before the tail name the first bad record', async () => {
  const lines = await exported(await sampleStore(1000));
  for (let seed = 1; seed < 40; seed++) {
    const at = (seed * 23) % 990;
    const swapped = [...lines];
    [swapped[at], swapped[at + 1]] = [swapped[at + 1] ?? '', swapped[at] ?? ''];
    expect(judge(swapped).bad[0]?.seq).toBe(at + 1);
    const inserted = [...lines.slice(0, at + 1), lines[at] ?? '', ...lines.slice(at + 1)];
    expect(judge(inserted).bad[0]?.seq).toBe(at + 2);
    const deleted = [...lines.slice(0, at), ...lines.slice(at + 1)];
    expect(judge(deleted).bad[0]?.seq).toBe(at + 1);
  }
});

test('a cut tail is completeness unknown without an anchor, and found against a saved head', async () => {
  const store = await sampleStore(100);
  const heads = await headsOf(store);
  const lines = await exported(store);
  const cut = lines.slice(0, 97);
  expect(judge(cut)).toMatchObject({ ok: true, completeness: 'unknown' });
  expect(judge(cut, heads)).toMatchObject({
    ok: false,
    completeness: 'cut',
    missing: [{ chain: CHAIN, have: 97, anchored: 100 }],
  });
  expect(judge(lines, heads)).toMatchObject({ ok: true, completeness: 'verified' });
});

test('a whole chain that is gone is found against a saved head', async () => {
  const store = await sampleStore(3);
  expect(judge([], await headsOf(store))).toMatchObject({ ok: false, completeness: 'cut' });
});

test('another chain of the same length under the anchored name is found', async () => {
  const store = await sampleStore(10);
  const other = await sampleStore(10);
  await other.commit({
    appends: [{ chain: CHAIN, when: { seq: 10 }, type: 'call_started', at: 1, evidence: {} }],
  });
  const heads = (await headsOf(store)).map((head) => ({ ...head, hash: 'f'.repeat(64) }));
  expect(judge(await exported(other), heads)).toMatchObject({
    ok: false,
    bad: [{ seq: 10, fault: 'anchor' }],
  });
});

test('erased payloads verify, and are counted', async () => {
  const store = await sampleStore(20);
  await store.erase(CHAIN, [3, 4], 1_700_000_001_000, 'asked for');
  expect(judge(await exported(store))).toMatchObject({ ok: true, erased: 2 });
  expect(await verifyStore(store)).toMatchObject({ ok: true, erased: 2 });
});
