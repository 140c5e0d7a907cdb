// Owns the property that nobody can tell how the SQLite engine bundles its work: commits of every flush, reads between them,
// another handle of the same file and jobs that the engine undoes answer as the engine in memory does, one after the other. So
// do the steps of a series, until something that it was told is undone; then none that builds on that is made.
import { join } from 'node:path';
import fc from 'fast-check';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { Series } from '../../src/base/series.ts';
import type { Commit, Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { append, AT, numbers, row, session, verdict } from '../contract/store-words.ts';
import { testDir, testStore } from './support.ts';

const KEYS = ['acme|x', 'acme|y', 'acme|z'];
const IDS = ['a', 'b', 'c'];
const id = fc.constantFrom(...IDS);
const key = fc.constantFrom(...KEYS);
const small = fc.integer({ min: 0, max: 4 });

const commit: fc.Arbitrary<Commit> = fc.record(
  {
    appends: fc.array(
      fc
        .tuple(
          id,
          fc.oneof({ weight: 1, arbitrary: fc.record({ seq: small }) }, fc.constant({ epoch: 0 })),
          small,
        )
        .map(([chain, when, n]) => append(session(chain), { when, evidence: { n }, sealed: { n } })),
      { maxLength: 3 },
    ),
    rows: fc.array(
      fc
        .tuple(id, fc.constantFrom('open', 'done'), small, fc.constantFrom('any', 'any', 'absent', 1, 2))
        .map(([name, status, later, at]) => ({
          row: row(name, { status, updatedAt: AT + later }),
          when: typeof at === 'number' ? { version: at } : (at as 'absent' | 'any'),
        })),
      { maxLength: 2 },
    ),
    counters: fc.array(fc.record({ key, add: fc.integer({ min: -1, max: 3 }), max: fc.constant(30) }), {
      maxLength: 2,
    }),
    flush: fc.constantFrom('with_next' as const, 'with_next' as const, 'behind' as const),
  },
  { requiredKeys: ['appends'] },
);

/** Told by the engine only when the records are written, at the end of the transaction (see `openRig`). */
const refusedAtEnd = (one: Commit): Commit => ({
  ...plain(one),
  appends: [...(one.appends ?? []), append(session('a'), { type: 'refused' })],
});

/** Fails in the middle of its job, after records were handed over. */
const failing = (one: Commit): Commit => ({
  ...plain(one),
  appends: [append(session('b'))],
  rows: [{ row: row('c') }],
  timers: [{ tenant: 'acme', id: 'late', dueAt: AT, payload: { n: 1n as never } }],
});

function plain({ flush: _flush, ...rest }: Commit): Commit {
  return rest;
}

interface Rig {
  memory: Store;
  one: Store;
  two: Store;
  /** The one under way. */
  series: Series;
}

type Step = (rig: Rig) => Promise<void>;
type Call = (store: Store) => Promise<unknown>;

/** Hashes differ by their salts; everything else must not. */
function shown(value: unknown): unknown {
  const text = JSON.stringify(value ?? null, (name, part: unknown) =>
    name === 'hash' ? undefined : part instanceof Map ? [...(part as Map<string, number>)] : part,
  );
  return JSON.parse(text);
}

const answer = async (call: Call, store: Store): Promise<unknown> =>
  shown(await call(store).catch((error: unknown) => ({ code: (error as { code: string }).code })));

const alike =
  (call: Call): Step =>
  async ({ memory, one }) => {
    expect(await answer(call, one)).toEqual(await answer(call, memory));
  };

/** Another handle sees what is committed; what waits for the next is, by the next turn of the event loop. */
const alikeElsewhere =
  (call: Call): Step =>
  async ({ memory, two }) => {
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(await answer(call, two)).toEqual(await answer(call, memory));
  };

/** What is told early is told to the series. */
const inSeries = (one: Commit, { series }: Rig): Commit =>
  one.flush === 'with_next' ? { ...one, series } : one;

const told =
  (one: Commit): Step =>
  (rig) =>
    alike((store) => store.commit(inSeries({ ...one, flush: 'with_next' }, rig)))(rig);

const readAhead =
  (name: string): Step =>
  (rig) =>
    alike(async (store) => [
      await store.head(session(name), rig.series),
      await store.row('request', 'acme', name, rig.series),
    ])(rig);

function isLost({ series }: Rig): boolean {
  try {
    series.assertWhole();
    return false;
  } catch {
    return true;
  }
}

const builtOn =
  (one: Commit): Step =>
  async (rig) => {
    const call: Call = (store) => store.commit({ ...one, after: rig.series });
    if (!isLost(rig)) return alike(call)(rig);
    expect(await answer(call, rig.one)).toHaveProperty('code');
  };

/** Once it is settled, everybody sees what it was told, with no turn of the event loop between. */
const settled: Step = async (rig) => {
  const { series } = rig;
  rig.series = new Series();
  await rig.one.head(session('a'), series); // with it the series is told all that can be seen
  const isKept = await series.settled().then(
    () => true,
    () => false,
  );
  if (isKept) expect(await answer(everything, rig.two)).toEqual(await answer(everything, rig.memory));
};

/** A commit of another handle waits for the transaction that is open here. */
const committedElsewhere =
  (one: Commit): Step =>
  async ({ memory, two }) => {
    const call: Call = (store) => store.commit(plain(one)); // one that is told early is not seen here yet
    expect(await answer(call, two)).toEqual(await answer(call, memory));
  };

const reads: fc.Arbitrary<Call> = fc.oneof(
  id.map(
    (name): Call =>
      async (store) =>
        numbers(await store.read(session(name))),
  ),
  id.map(
    (name): Call =>
      (store) =>
        store.head(session(name)),
  ),
  id.map(
    (name): Call =>
      (store) =>
        store.row('request', 'acme', name),
  ),
  fc.constant<Call>((store) => store.list({ kind: 'request', tenant: 'acme', status: 'open', limit: 5 })),
  fc.constant<Call>(async (store) => (await store.scan({ limit: 50 })).map(({ header }) => header.seq)),
  key.map(
    (name): Call =>
      (store) =>
        store.counter(name),
  ),
  fc.constant<Call>((store) => store.counters(KEYS)),
  fc.tuple(id, small).map(
    ([name, seq]): Call =>
      (store) =>
        store.unseal(session(name), seq),
  ),
);

const writes: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 6,
    arbitrary: commit.map(
      (one): Call =>
        (store) =>
          store.commit(one),
    ),
  },
  fc.array(commit, { minLength: 2, maxLength: 4 }).map(
    (many): Call =>
      (store) =>
        Promise.all(many.map((one) => store.commit(one))),
  ),
  fc.tuple(id, fc.oneof(fc.constant('all' as const), fc.array(small))).map(
    ([name, seqs]): Call =>
      (store) =>
        store.erase(session(name), seqs, AT, 'test'),
  ),
  id.map(
    (name): Call =>
      (store) =>
        store.saveSnapshot(session(name), 1, 'none', { name }),
  ),
);

/** Commits around one that the engine undoes: alone, or between others of the same transaction. */
const undone: fc.Arbitrary<Step> = fc
  .tuple(commit, fc.array(commit, { maxLength: 2 }), fc.array(commit, { maxLength: 2 }), fc.boolean())
  .map(([one, before, after, isLate]) => async (rig) => {
    const bad = isLate ? refusedAtEnd(one) : failing(one);
    // What was refused already cannot fail any more; without conditions it is not.
    const sure = { ...bad, appends: bad.appends?.map((each) => ({ ...each, when: { epoch: 0 } })) ?? [] };
    delete sure.counters;
    if (isLate) delete sure.rows;
    const tell = (store: Store, many: Commit[]): Promise<unknown>[] =>
      many.map((each) => answer((on) => on.commit(each), store));
    const told = tell(
      rig.one,
      before.map((each) => inSeries(each, rig)),
    );
    const failed = expect(rig.one.commit(sure)).rejects.toBeDefined();
    told.push(
      ...tell(
        rig.one,
        after.map((each) => inSeries(each, rig)),
      ),
    );
    await failed;
    expect(await Promise.all(told)).toEqual(await Promise.all(tell(rig.memory, [...before, ...after])));
  });

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: writes.map(alike) },
  { weight: 5, arbitrary: reads.map(alike) },
  { weight: 2, arbitrary: reads.map(alikeElsewhere) },
  { weight: 1, arbitrary: commit.map(committedElsewhere) },
  { weight: 2, arbitrary: undone },
  { weight: 4, arbitrary: commit.map(told) },
  { weight: 2, arbitrary: id.map(readAhead) },
  { weight: 2, arbitrary: commit.map(builtOn) },
  { weight: 1, arbitrary: fc.constant(settled) },
);

async function openRig(path: string): Promise<Rig> {
  const keys = memoryTenantKeys();
  const one = await testStore(path, keys);
  const db = new Database(path);
  db.exec(`CREATE TRIGGER refused BEFORE INSERT ON records WHEN NEW.type = 'refused'
           BEGIN SELECT RAISE(ABORT, 'refused'); END`);
  db.close();
  return { memory: createMemoryStore(), one, two: await testStore(path, keys), series: new Series() };
}

const everything: Call = async (store) => {
  const { items } = await store.list({ kind: 'request', tenant: 'acme', limit: 50 });
  const chains = IDS.map(async (name) => [
    numbers(await store.read(session(name))),
    await store.row('request', 'acme', name),
    (await verdict(store, session(name))).ok,
  ]);
  return [items, await store.counters(KEYS), await Promise.all(chains)];
};

test('commits of every flush, reads, another handle and what is undone answer as in memory', async () => {
  const dir = testDir();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 8, maxLength: 40, size: 'max' }), async (sequence) => {
      const path = join(dir, `run${++runs}.db`);
      const rig = await openRig(path);
      for (const step of sequence) await step(rig);
      await alike(everything)(rig);
      await alikeElsewhere(everything)(rig);
      await Promise.all([rig.one.close(), rig.two.close()]);
    }),
    { numRuns: 25, seed: 20_261_121 },
  );
});
