// Owns the property that the engines cannot be told apart: any sequence of calls answers the same in memory and SQLite.
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Commit, Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { append, AT, numbers, row, session } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

type Call = (store: Store) => Promise<unknown>;

const id = fc.constantFrom('a', 'b');
const key = fc.constantFrom('acme|x', 'acme|y');
const small = fc.integer({ min: 0, max: 4 });
const when = fc.oneof(
  { weight: 1, arbitrary: fc.record({ seq: small }) },
  { weight: 4, arbitrary: fc.record({ epoch: small }) },
);
const commit: fc.Arbitrary<Commit> = fc.record(
  {
    appends: fc.array(
      fc
        .tuple(id, when, small, fc.boolean())
        .map(([chain, at, n, isSealed]) =>
          append(session(chain), { when: at, evidence: { n }, ...(isSealed ? { sealed: { n } } : {}) }),
        ),
      { maxLength: 3 },
    ),
    rows: fc.array(
      fc
        .tuple(
          id,
          fc.constantFrom('open', 'done'),
          small,
          fc.constantFrom('any', 'any', 'any', 'absent', 1, 2),
        )
        .map(([name, status, later, at]) => ({
          row: row(name, { status, updatedAt: AT + later }),
          when: typeof at === 'number' ? { version: at } : (at as 'absent' | 'any'),
        })),
      { maxLength: 2 },
    ),
    counters: fc.array(
      fc.record({ key, add: fc.integer({ min: -2, max: 3 }), max: fc.integer({ min: 2, max: 20 }) }),
      {
        maxLength: 2,
      },
    ),
    // Few, or most commits would be refused and little would be compared.
    guards: fc.oneof(
      { weight: 9, arbitrary: fc.constant<{ key: string; is: number }[]>([]) },
      { weight: 1, arbitrary: fc.array(fc.record({ key, is: small }), { maxLength: 1 }) },
    ),
    timers: fc.array(
      fc.tuple(id, small).map(([name, due]) => ({ tenant: 'acme', id: name, dueAt: due, payload: { due } })),
      { maxLength: 1 },
    ),
    cancelTimers: fc.array(
      id.map((name) => ({ tenant: 'acme', id: name })),
      { maxLength: 1 },
    ),
  },
  { requiredKeys: [] },
);

/** Hashes differ by their salts; everything else must not. */
function withoutHashes(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? null, (name, part: unknown) => (name === 'hash' ? undefined : part)),
  );
}

const told =
  (call: Call): Call =>
  (store) =>
    call(store).catch((error: unknown) => ({ code: (error as { code: string }).code }));

const calls: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 5,
    arbitrary: commit.map(
      (one): Call =>
        (store) =>
          store.commit(one),
    ),
  },
  fc.array(commit, { maxLength: 4 }).map(
    (many): Call =>
      (store) =>
        Promise.all(many.map((one) => store.commit(one))),
  ),
  fc.tuple(id, fc.integer({ min: 1, max: 5 })).map(
    ([chain, from]): Call =>
      async (store) =>
        numbers(await store.read(session(chain), from, 3)),
  ),
  fc.tuple(id, small).map(
    ([chain, seq]): Call =>
      (store) =>
        store.unseal(session(chain), seq),
  ),
  fc.tuple(id, fc.oneof(fc.constant('all' as const), fc.array(small))).map(
    ([chain, seqs]): Call =>
      (store) =>
        store.erase(session(chain), seqs, AT, 'test'),
  ),
  fc.tuple(id, fc.constantFrom('one', 'two'), small).map(
    ([chain, owner, now]): Call =>
      (store) =>
        store.claim(`acme/session/${chain}`, owner, now, 2),
  ),
  fc.tuple(id, fc.constantFrom('one', 'two'), small).map(
    ([chain, owner, epoch]): Call =>
      (store) =>
        store.release({ key: `acme/session/${chain}`, owner, epoch, until: 0 }),
  ),
  small.map(
    (now): Call =>
      (store) =>
        store.claimTimers('w', now, 1, 2),
  ),
  fc.constant<Call>((store) => store.list({ kind: 'request', tenant: 'acme', status: 'open', limit: 1 })),
  fc.constant<Call>((store) => store.list({ kind: 'request', tenant: 'acme', limit: 5 })),
  fc.constant<Call>((store) => store.chains({ limit: 2 })),
  fc.constant<Call>(async (store) =>
    (await store.scan({ limit: 50, type: 'call_started' })).map((r) => r.position),
  ),
  key.map(
    (name): Call =>
      (store) =>
        store.counter(name),
  ),
);

test('memory and SQLite answer every sequence of calls alike', async () => {
  const dir = testDir();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(calls, { minLength: 5, maxLength: 40, size: 'max' }), async (sequence) => {
      runs += 1;
      const memory = createMemoryStore();
      const sqlite = await testStore(join(dir, `run${runs}.db`), memoryTenantKeys());
      for (const call of sequence.map(told)) {
        expect(withoutHashes(await call(sqlite))).toEqual(withoutHashes(await call(memory)));
      }
      await sqlite.close();
    }),
    { numRuns: 100 },
  );
});
