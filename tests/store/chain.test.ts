// Owns the proof that chained records are what a verifier without the store can check.
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CHAIN_START,
  checkChain,
  checkRecord,
  commitment,
  EMPTY_HASH,
  headerText,
  makeRecord,
} from '../../src/store/chain.ts';
import type { CheckableRecord, ChainPoint } from '../../src/store/chain.ts';
import { AT, session } from '../contract/store-words.ts';

const chain = session('a');

function makeChain(count: number): CheckableRecord[] {
  const records: CheckableRecord[] = [];
  let end: ChainPoint = CHAIN_START;
  for (let n = 1; n <= count; n++) {
    const evidenceBytes = { salt: String(n).padStart(32, '0'), text: `{"n":${n}}` };
    const made = makeRecord(end, { chain, type: 'done', at: AT + n, epoch: 0, evidence: evidenceBytes });
    records.push({ header: made.header, hash: made.hash, evidenceBytes });
    end = { seq: n, hash: made.hash };
  }
  return records;
}

describe('a record', () => {
  test('is pinned: canonical header, its hash and its commitments', () => {
    const evidence = { salt: '00'.repeat(16), text: '{"n":1}' };
    const sealed = { salt: '11'.repeat(16), text: '"x"' };
    const made = makeRecord(CHAIN_START, { chain, type: 'call_started', at: 5, epoch: 2, evidence, sealed });
    const sha = (text: string) => createHash('sha256').update(text).digest('hex');
    const expected =
      `{"at":5,"chain":{"aggregate":"session","id":"a","tenant":"acme"},"epoch":2,` +
      `"evidence":"${sha(`${evidence.salt}:{"n":1}`)}","prev":"${EMPTY_HASH}",` +
      `"sealed":"${sha(`${sealed.salt}:"x"`)}","seq":1,"type":"call_started","v":1}`;
    expect(made.text).toBe(expected);
    expect(made.hash).toBe(sha(expected));
    expect(headerText(made.header)).toBe(expected);
  });

  test('has the canonical text of its header, whatever its names and numbers are', () => {
    const name = fc.string({ unit: 'grapheme' });
    const salted = fc.record({ salt: fc.string({ unit: 'grapheme' }), text: name });
    const facts = fc.record({
      chain: fc.record({
        tenant: name,
        aggregate: fc.constantFrom('session' as const, 'approval' as const, 'workspace' as const),
        id: name,
      }),
      type: name,
      at: fc.oneof(fc.maxSafeNat(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(-0)),
      epoch: fc.maxSafeNat(),
      evidence: salted,
      sealed: fc.option(salted, { nil: undefined }),
    });
    fc.assert(
      fc.property(facts, fc.nat(), fc.string(), (said, seq, hash) => {
        const made = makeRecord({ seq, hash }, said);
        expect(made.text).toBe(headerText(made.header));
        expect('sealed' in made.header).toBe(said.sealed !== undefined);
        expect(checkRecord({ ...made, evidenceBytes: said.evidence }, { seq, hash })).toBeUndefined();
      }),
      { numRuns: 500, seed: 77 },
    );
  });

  test('verifies without its payload, and not with another one', () => {
    const [record] = makeChain(1);
    const { header, hash } = record!;
    expect(checkRecord({ header, hash })).toBeUndefined();
    expect(checkRecord({ header, hash, evidenceBytes: { salt: '', text: '{}' } })).toBe('payload');
  });

  test('salt and text cannot trade characters', () => {
    expect(commitment({ salt: 'a', text: 'b:c' })).toBe(commitment({ salt: 'a', text: 'b:c' }));
    expect(commitment({ salt: 'ab', text: 'c' })).not.toBe(commitment({ salt: 'a', text: 'bc' }));
  });
});

describe('a chain', () => {
  test('verifies from its start and from a point known to be good', () => {
    const records = makeChain(4);
    const end = { seq: 4, hash: records[3]!.hash };
    expect(checkChain(chain, records)).toEqual({ ok: true, end });
    const known = { seq: 2, hash: records[1]!.hash };
    expect(checkChain(chain, records.slice(2), known)).toEqual({ ok: true, end });
  });

  test.each([
    [
      'a changed header',
      'hash',
      (r: CheckableRecord[]) => r.with(1, { ...r[1]!, header: { ...r[1]!.header, at: 0 } }),
    ],
    ['a removed record', 'order', (r: CheckableRecord[]) => r.toSpliced(1, 1)],
    ['a repeated record', 'order', (r: CheckableRecord[]) => r.toSpliced(1, 0, r[0]!)],
    ['swapped records', 'order', (r: CheckableRecord[]) => [r[0]!, r[2]!, r[1]!]],
    ['a record of another history', 'link', (r: CheckableRecord[]) => r.with(1, otherHistory()[1]!)],
    ['a record of another chain', 'chain', (r: CheckableRecord[]) => r.with(1, otherChain(r[1]!))],
    [
      'a changed payload',
      'payload',
      (r: CheckableRecord[]) => r.with(1, { ...r[1]!, evidenceBytes: { salt: '', text: '' } }),
    ],
  ])('with %s names the first bad record', (_name, fault, damage) => {
    expect(checkChain(chain, damage(makeChain(3)))).toEqual({ ok: false, seq: 2, fault });
  });
});

function otherHistory(): CheckableRecord[] {
  const evidenceBytes = { salt: 'ff', text: '{}' };
  const first = makeRecord(CHAIN_START, { chain, type: 'other', at: 0, epoch: 0, evidence: evidenceBytes });
  const second = makeRecord(
    { seq: 1, hash: first.hash },
    { chain, type: 'other', at: 0, epoch: 0, evidence: evidenceBytes },
  );
  return [first, second].map(({ header, hash }) => ({ header, hash, evidenceBytes }));
}

function otherChain(record: CheckableRecord): CheckableRecord {
  const header = { ...record.header, chain: session('b') };
  return { ...record, header, hash: createHash('sha256').update(headerText(header)).digest('hex') };
}
