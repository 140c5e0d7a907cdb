// Owns the proof of what stands in the file of a call's arguments and result: redacted canonical text, vouched for by its
// salted digest, in which no value is taken for another. Digests and canonical text are made here a second time.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'libsql';
import { expect } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { readResult } from '../../src/kernel/evidence/large-result.ts';
import { verifies } from '../e2e/verifies.ts';
import { testDir, testStore } from '../store/support.ts';
import { CANARY, createRig, OK, SESSION } from './rig.ts';
import type { Rig } from './rig.ts';

const sha = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** JSON without white space, with the keys of every object in order; what RFC 8785 says of plain keys and small numbers. */
function canonical(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(',')}}`;
}

interface Stored {
  header: string;
  hash: string;
  salt: string;
  evidence: string;
}

function inFile(path: string): Stored[] {
  const db = new Database(path);
  const found = db.prepare('SELECT header, hash, salt, evidence FROM records ORDER BY position').all([]);
  db.close();
  return found as Stored[];
}

function expectVouchedFor({ header, hash, salt, evidence }: Stored): void {
  const said = JSON.parse(header) as JsonObject & { evidence: string };
  expect(said.evidence).toBe(sha(`${salt}:${evidence}`));
  expect(hash).toBe(sha(header));
  expect(header).toBe(canonical(said));
  expect(evidence).toBe(canonical(JSON.parse(evidence) as JsonValue));
}

// Each is another value, however alike they look; what reads a string as YAML or JSON takes some of them for equal.
const ALIKE: JsonValue[] = [
  1,
  '1',
  '1.0',
  ' 1',
  '01',
  true,
  'true',
  null,
  'null',
  '',
  [1],
  '[1]',
  ['1'],
  { a: 1 },
];

interface Kept {
  digest: unknown;
  arguments: unknown;
  result: unknown;
  sealed: unknown;
}

/** One call that answers with what it was given; what is kept of it. */
async function echoed(rig: Rig, args: JsonObject): Promise<Kept> {
  rig.tool.run = ({ args: given }) =>
    Promise.resolve({
      ...OK,
      content: [{ type: 'text', text: JSON.stringify(given['v']) }],
      structured: given,
    });
  expect((await rig.call('look', args)).status).toBe('done');
  const [begun, ended] = (await rig.records()).slice(-2);
  const start = begun?.evidence.state === 'present' ? begun.evidence.value : {};
  const outcome = ended?.evidence.state === 'present' ? ended.evidence.value : {};
  const chain = { tenant: 'local', aggregate: 'session' as const, id: SESSION };
  const sealed = await readResult(rig.store, chain, ended?.header.seq ?? 0);
  return {
    digest: start['action_digest'],
    arguments: start['arguments'],
    result: outcome['result'],
    sealed: sealed.state === 'present' ? (sealed.value as JsonObject)['structured'] : sealed.state,
  };
}

verifies(
  ['EV-02'],
  'arguments and results are kept redacted, as canonical text under its salted digest, and "1" is not 1',
  async () => {
    const path = join(testDir(), 'runtime.db');
    const rig = createRig({ store: await testStore(path) });
    const digests = new Set<unknown>();
    for (const v of ALIKE) {
      const kept = await echoed(rig, { v });
      expect(kept).toEqual({
        digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as unknown,
        arguments: { v },
        result: { blocks: 1, content: [{ type: 'text', text: JSON.stringify(v) }] },
        sealed: { v },
      });
      digests.add(kept.digest);
    }
    expect(digests.size).toBe(ALIKE.length);
    const ordered = await echoed(rig, { v: { x: 1, y: [2, { a: 3, b: 4 }] }, w: '1' });
    const other = await echoed(rig, { w: '1', v: { y: [2, { b: 4, a: 3 }], x: 1 } });
    expect(other.digest).toBe(ordered.digest);

    const hidden = await echoed(rig, { v: `key ${CANARY}` });
    expect(hidden.sealed).toEqual({ v: `key ${CANARY}` });
    const large = await echoed(rig, { v: 'big', text: 'ü'.repeat(20_000) });
    expect(large.sealed).toMatchObject({ v: 'big' });

    const stored = inFile(path);
    expect(stored).toHaveLength(2 * (ALIKE.length + 4));
    for (const one of stored) expectVouchedFor(one);
    expect(stored[0]?.evidence).toContain('"arguments":{"v":1}');
    expect(stored[2]?.evidence).toContain('"arguments":{"v":"1"}');
    const all = stored.map(({ header, evidence }) => header + evidence).join('\n');
    expect(all).not.toContain(CANARY);
    const db = new Database(path);
    const blobs = db.prepare('SELECT key, bytes FROM blobs').all([]) as { key: string; bytes: ArrayBuffer }[];
    db.close();
    expect(blobs.map(({ key }) => key)).toEqual(
      blobs.map(({ bytes }) => `result/${sha(new Uint8Array(bytes))}`),
    );
    expect(blobs).toHaveLength(1);
  },
);
