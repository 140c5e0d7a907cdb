// Shows the queue of background runs and the worker over a real store: bounds, positions, recovery, no lost wakeup.
import { beforeEach, describe, expect, test } from 'vitest';
import { createQueue } from '../../src/pack/background/queue.ts';
import type { Queue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import type { Advanced, Runs, Worker, WorkerDeps } from '../../src/pack/background/worker.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import { createFakeClock, createFixedIds, createMemoryStore } from '../../src/testing/index.ts';
import type { FakeClock } from '../../src/testing/index.ts';
import type { Store } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';

const ANN: Caller = { tenant: 'acme', principal: 'ann', actor: 'a', roles: [], scopes: [], lane: 'main' };
const BEN: Caller = { ...ANN, principal: 'ben' };
const COMPLETED: Advanced = { type: 'ended', how: 'completed', reason: '' };

let clock: FakeClock;
let store: Store;
let queue: Queue;
let ran: string[];
let looked: string[];
let answers: Map<string, Advanced[]>;
let ready: Set<string>;
let alive: Set<string>;

const runs: Runs = {
  advance({ id }) {
    if (ran.includes(id)) ready.delete(id); // what it was waiting for is used by the run after it
    ran.push(id);
    return Promise.resolve(answers.get(id)?.shift() ?? COMPLETED);
  },
  stillWaits({ id }) {
    if (ready.has(id)) return Promise.resolve(undefined);
    looked.push(id);
    return Promise.resolve({ type: 'parked', why: 'approval', until: clock.now() + 10_000 });
  },
  look: () => Promise.resolve('done'),
  wake: () => Promise.resolve('done'),
};

function worker(instance: string, more: Partial<Parameters<typeof createWorker>[0]> = {}): Worker {
  alive.add(instance);
  const isAlive = (one: string): Promise<boolean> => Promise.resolve(alive.has(one));
  return createWorker({
    store,
    clock,
    queue,
    runs,
    instance,
    agentId: 'agent',
    isAlive,
    maxRunning: 2,
    ...more,
  });
}

async function workOff(one: Worker): Promise<void> {
  while ((await one.tick()) > 0) await one.settled();
}

beforeEach(() => {
  clock = createFakeClock();
  const ids = createFixedIds('queue');
  store = createMemoryStore({ ids });
  queue = createQueue({ store, clock, maxQueued: 3, agentId: 'agent' });
  ran = [];
  looked = [];
  answers = new Map();
  ready = new Set();
  alive = new Set();
});

describe('admission', () => {
  verifies(['QB-02'], 'the queue is bounded, says the position, and refuses with a code', async () => {
    const positions = [];
    for (const id of ['s1', 's2', 's3'])
      positions.push((await queue.admit(ANN, { id, kind: 'session' })).position);
    expect(positions).toEqual([0, 1, 2]);
    await expect(queue.admit(ANN, { id: 's4', kind: 'session' })).rejects.toMatchObject({
      code: 'TOO_BUSY',
      details: { reason: 'queue_full', queued: 3, most: 3 },
    });
    await expect(
      queue.admit({ ...ANN, tenant: 'other' }, { id: 's4', kind: 'session' }),
    ).resolves.toMatchObject({
      position: 0,
    });
  });

  test('the same run is not admitted twice, and a refused one takes no place', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    await expect(queue.admit(ANN, { id: 's1', kind: 'session' })).rejects.toMatchObject({ code: 'CONFLICT' });
    await queue.admit(ANN, { id: 's2', kind: 'session' });
    await expect(queue.admit(ANN, { id: 's3', kind: 'session' })).resolves.toMatchObject({ position: 2 });
  });

  test('a foreign entry is as if absent', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    await expect(queue.status(BEN, 's1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(queue.status(ANN, 's9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(queue.admit(BEN, { id: 's1', kind: 'session' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'Session not found: s1',
    });
    const refused = { ok: false, refused: 'row', kind: 'queue', id: 's1', version: 1 } as const;
    const theirs = await queue.admission(BEN, { id: 's1', kind: 'session' });
    const own = await queue.admission(ANN, { id: 's1', kind: 'session' });
    expect([theirs.refusal(refused), own.refusal(refused)?.code]).toEqual([undefined, 'CONFLICT']);
  });

  test('the position counts every run before it, however long the queue is', async () => {
    const long = createQueue({ store, clock, maxQueued: 1000, agentId: 'agent' });
    for (let at = 0; at < 450; at++) await long.admit(ANN, { id: `r${at}`, kind: 'session' });
    expect((await long.status(ANN, 'r449')).position).toBe(449);
  });
});

describe('the worker', () => {
  verifies(['QB-01'], 'runs what was admitted in order, and each leaves the queue once', async () => {
    for (const id of ['s1', 's2', 's3']) {
      await queue.admit(ANN, { id, kind: 'session' });
      clock.advance(1);
    }
    await workOff(worker('w1'));
    expect(ran).toEqual(['s1', 's2', 's3']);
    expect((await queue.status(ANN, 's2')).status).toBe('completed');
    for (const id of ['s4', 's5', 's6']) await queue.admit(ANN, { id, kind: 'session' }); // all three places are free again
    clock.advance(3_600_000);
    await workOff(worker('w1'));
    expect(ran.filter((id) => id === 's1')).toHaveLength(1);
  });

  test('two workers share the work', async () => {
    for (const id of ['s1', 's2', 's3']) await queue.admit(ANN, { id, kind: 'session' });
    const [one, two] = [worker('w1'), worker('w2')];
    await Promise.all([workOff(one), workOff(two)]);
    expect(ran.toSorted()).toEqual(['s1', 's2', 's3']);
  });

  verifies(['QB-08'], 'a run whose worker died is taken again, one whose worker lives is not', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    const release: (() => void)[] = [];
    const hanging: Runs = {
      ...runs,
      advance: ({ id }) => {
        ran.push(id);
        return new Promise((resolve) => release.push(() => resolve(COMPLETED)));
      },
    };
    await worker('w1', { runs: hanging }).tick();
    await expect.poll(() => ran).toEqual(['s1']);
    clock.advance(16_000);
    await workOff(worker('w2'));
    expect(ran).toEqual(['s1']);
    alive.delete('w1');
    clock.advance(16_000);
    await workOff(worker('w2'));
    expect(ran).toEqual(['s1', 's1']);
    expect((await queue.status(ANN, 's1')).status).toBe('completed');
    release.forEach((one) => one());
  });

  test('a worker that was thought dead moves nothing that others have moved meanwhile, and a resume stays', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    const stalled: ((how: Advanced) => void)[] = [];
    const stalling: Runs = { ...runs, advance: () => new Promise((resolve) => stalled.push(resolve)) };
    const first = worker('w1', { runs: stalling });
    await first.tick();
    await expect.poll(() => stalled).toHaveLength(1);
    alive.delete('w1');
    clock.advance(16_000);
    answers.set('s1', [{ type: 'parked', why: 'time', until: clock.now() + 3_600_000, isHeldUp: true }]);
    await workOff(worker('w2'));
    await queue.admit(ANN, { id: 's1', kind: 'session', asked: true });
    stalled[0]!({ type: 'ended', how: 'completed', reason: 'suspended: its turns are used up' });
    await expect.poll(() => stalled).toHaveLength(2); // it takes up the resume itself, of which it has heard by now
    stalled[1]!(COMPLETED);
    await first.settled();
    const { entry } = await queue.status(ANN, 's1');
    expect(entry.state).toEqual({ at: 'ended', how: 'completed', reason: '' });
  });

  test('work of another agent is left alone, however long it waits, and is carried out by a worker of that one', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    const wakes: string[] = [];
    const waking: Runs = {
      ...runs,
      wake: async ({ payload }) => (wakes.push(JSON.stringify(payload.node_id)), 'done'),
    };
    const timer = (node_id: string) => ({
      ...{ tenant: 'acme', id: `wake/${node_id}`, dueAt: clock.now() },
      payload: { kind: 'workflow_wake', session_id: 'w1', node_id, agent_id: 'agent' },
    });
    // One of an earlier version does not name its agent; the row of its workflow does.
    const { agent_id: _agent, ...unnamed } = timer('b').payload;
    const row = {
      kind: 'session',
      tenant: 'acme',
      principal: 'ann',
      status: 'active',
      updatedAt: 0,
    } as const;
    await store.commit({
      timers: [timer('a'), { ...timer('b'), payload: unnamed }],
      rows: [{ row: { ...row, id: 'w1', body: { kind: 'workflow', agent_id: 'agent' } } }],
    });
    const stranger = worker('w2', { runs: waking, agentId: 'stranger' });
    for (let round = 0; round < 12; round++) {
      await workOff(stranger);
      clock.advance(16_000);
    }
    expect([ran, wakes]).toEqual([[], []]);
    expect((await queue.status(ANN, 's1')).entry.state).toEqual({ at: 'queued', asked: false });
    await workOff(worker('w1', { runs: waking }));
    expect([ran, wakes.toSorted()]).toEqual([['s1'], ['"a"', '"b"']]);
  });

  test('what nobody here can say the owner of comes again, the longer it waits the more seldom, and is not lost', async () => {
    let isKnown = false;
    const seen = { wake: 0, look: 0 };
    const unsaid: Runs = {
      ...runs,
      wake: () => (seen.wake++, Promise.resolve(isKnown ? 'done' : 'unknown_principal')),
      look: () => (seen.look++, Promise.resolve(isKnown ? 'done' : 'unknown_principal')),
    };
    const timer = (id: string, more: object) => ({
      ...{ tenant: 'acme', id, dueAt: clock.now() },
      payload: { session_id: 's1', agent_id: 'agent', ...more },
    });
    const look = timer('look/s1', { do: 'look', principal: 'ann' });
    await store.commit({ timers: [timer('wake/a', { kind: 'workflow_wake', node_id: 'a' }), look] });
    const one = worker('w1', { runs: unsaid });
    const pass = async (ms: number): Promise<number> => {
      const before = seen.wake + seen.look;
      for (let passed = 0; passed < ms; passed += 15_000) {
        await workOff(one);
        clock.advance(15_000);
      }
      return seen.wake + seen.look - before;
    };
    expect(await pass(60_000)).toBe(8);
    const firstDay = await pass(86_400_000);
    expect(firstDay).toBeLessThan(120);
    expect(await pass(86_400_000)).toBeGreaterThanOrEqual(46);
    isKnown = true;
    expect(await pass(3_700_000)).toBe(2);
    expect(await pass(86_400_000)).toBe(0);
    expect(await store.claimTimers('w2', clock.now(), 1, 10)).toEqual([]);
  });

  test('a run that always brings its worker down is given up', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    const dying: Runs = { ...runs, advance: () => Promise.reject(new RuntimeError('STORE_UNAVAILABLE')) };
    const said: unknown[] = [];
    const log: WorkerDeps['log'] = (level, message, { session_id, code }) => {
      if (message.includes('given up')) said.push([level, session_id, code]);
    };
    for (let take = 0; take <= 11; take++) {
      await workOff(worker('w1', { runs: dying, log }));
      clock.advance(16_000);
    }
    const { entry } = await queue.status(ANN, 's1');
    expect(entry.state).toMatchObject({ at: 'ended', how: 'failed', givenUp: 'INTERNAL' });
    expect(said).toEqual([['warn', 's1', 'INTERNAL']]);
  });

  test('a run that waits for time goes on at it, and never before', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    answers.set('s1', [{ type: 'parked', why: 'time', until: clock.now() + 10_000 }]);
    const one = worker('w1');
    await workOff(one);
    clock.advance(9_999);
    await workOff(one);
    expect(ran).toEqual(['s1']);
    clock.advance(1);
    await workOff(one);
    expect(ran).toEqual(['s1', 's1']);
  });

  test('a run that waits is admitted anew when somebody resumes it, and goes on at once as they asked', async () => {
    const asked: unknown[] = [];
    const told: Runs = {
      ...runs,
      advance: (run, signal) => {
        asked.push([run.asked, run.maxTurns]);
        return runs.advance(run, signal);
      },
    };
    const later = clock.now() + 3_600_000;
    const waits: Advanced[] = [
      { type: 'parked', why: 'time', until: later },
      { type: 'parked', why: 'time', until: later, isHeldUp: true },
      { type: 'parked', why: 'approval', until: later },
    ];
    const one = worker('w1', { runs: told });
    answers.set('s1', [...waits]);
    await queue.admit(ANN, { id: 's1', kind: 'workflow', maxTurns: 1 });
    await workOff(one);
    for (const most of [2, 3, 4]) {
      await expect(queue.admit(ANN, { id: 's1', kind: 'workflow' })).rejects.toMatchObject({
        code: 'CONFLICT',
      });
      const again = { id: 's1', kind: 'workflow', maxTurns: most, asked: true } as const;
      await expect(queue.admit(ANN, again)).resolves.toMatchObject({ status: 'queued', position: 0 });
      await expect(queue.admit(ANN, again)).rejects.toMatchObject({ code: 'CONFLICT' });
      await workOff(one);
    }
    expect(asked).toEqual([
      [false, 1],
      [true, 2],
      [true, 3],
      [true, 4],
    ]);
    expect((await queue.status(ANN, 's1')).status).toBe('completed');
    for (const id of ['s2', 's3', 's4']) await queue.admit(ANN, { id, kind: 'session' }); // no place is lost
    await expect(queue.admit(ANN, { id: 's5', kind: 'session' })).rejects.toMatchObject({ code: 'TOO_BUSY' });
  });

  test.each([
    ['found waiting', 'parked'],
    ['about to be taken', 'taken'],
  ])('a resume beside a worker that has it %s is not lost', async (_when, at) => {
    const later = clock.now() + 10_000;
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    answers.set('s1', [{ type: 'parked', why: 'approval', until: later }]);
    await workOff(worker('w1'));
    clock.advance(10_000);
    const asked: boolean[] = [];
    const resumed: Runs = {
      ...runs,
      advance: (run, signal) => {
        asked.push(run.asked);
        return runs.advance(run, signal);
      },
      async stillWaits(run) {
        if (asked.length === 0) await queue.admit(ANN, { id: 's1', kind: 'session', asked: true });
        return at === 'taken' ? undefined : runs.stillWaits(run);
      },
    };
    const other = worker('w2', { runs: resumed });
    await workOff(other);
    await workOff(other);
    expect(asked).toEqual([true]);
    expect((await queue.status(ANN, 's1')).status).toBe('completed');
  });

  test('a run that waits for a person is only looked at until there is an answer, and goes on when nudged', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    answers.set('s1', [{ type: 'parked', why: 'approval', until: clock.now() + 10_000 }]);
    const one = worker('w1');
    await workOff(one);
    const afterRun = looked.length;
    clock.advance(10_000);
    await workOff(one);
    expect(looked).toHaveLength(afterRun + 1);
    expect(ran).toEqual(['s1']);
    ready.add('s1');
    await workOff(one);
    expect(ran).toEqual(['s1']);
    await queue.nudge('acme', 's1');
    await workOff(one);
    expect(ran).toEqual(['s1', 's1']);
  });

  test('an answer that comes between the run and its parking is not lost', async () => {
    await queue.admit(ANN, { id: 's1', kind: 'session' });
    answers.set('s1', [{ type: 'parked', why: 'approval', until: clock.now() + 10_000 }]);
    ready.add('s1');
    await workOff(worker('w1'));
    expect(ran).toEqual(['s1', 's1']);
  });

  verifies(
    { partial: ['QB-05'] },
    'an entry is canceled while it waits, and is then never taken',
    async () => {
      await queue.admit(ANN, { id: 's1', kind: 'session' });
      const { entry } = await queue.status(ANN, 's1');
      await queue.move(entry, { type: 'ended', how: 'canceled', reason: 'operator' });
      await workOff(worker('w1'));
      expect(ran).toEqual([]);
      expect(await queue.move(entry, { type: 'taken', instance: 'w1' })).toBeUndefined();
    },
  );
});
