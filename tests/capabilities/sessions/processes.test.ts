// Several processes of one user over one store: each goes on from its own session, and from another's only once that is gone.
import { expect, onTestFinished, test } from 'vitest';
import { RuntimeError } from '../../../src/base/errors.ts';
import type { CapabilitySession } from '../../../src/capabilities/sessions/capability-session.ts';
import type { CapabilitySessionControls } from '../../../src/config/types.ts';
import { createMemoryStore } from '../../../src/store/memory/memory-store.ts';
import type { Store } from '../../../src/store/contract.ts';
import { createBench, probe, until } from '../fixtures.ts';
import type { Bench } from '../fixtures.ts';

const WHO = { tenant: 't', principal: 'p' };
const RUN = { runId: 'run_1', traceId: 'trace_1' };

interface World {
  store: Store;
  gone: Set<string>;
  bench(instance: string): Bench;
  rows(): Promise<CapabilitySession[]>;
}

function world(controls: Partial<CapabilitySessionControls> = {}): World {
  const store = createMemoryStore();
  const gone = new Set<string>();
  return {
    store,
    gone,
    bench(instance) {
      const isAlive = async (one: string): Promise<boolean> => !gone.has(one);
      const beside = { store, instance, isAlive };
      const made = createBench([probe()], process.env, undefined, controls, { beside });
      onTestFinished(() => made.end());
      return made;
    },
    async rows() {
      const { items } = await store.list({ kind: 'capability_session', tenant: 't', limit: 50 });
      return items.map(({ body }) => body as unknown as CapabilitySession);
    },
  };
}

function poolKey({ downstreams }: Bench): string {
  return downstreams.poolKey('probe', WHO)!;
}

async function loseConnection(bench: Bench): Promise<void> {
  await bench.call('probe:crash');
  await until(() => bench.sandbox.live() === 0);
  await bench.settled();
}

test('what one process has lost is neither asked of another that lives nor continued by it', async () => {
  const at = world({ reinitRequiresApproval: true });
  const [a, b] = [at.bench('inst_a'), at.bench('inst_b')];
  await b.call('probe:echo', { text: 'b' });
  await loseConnection(a);
  expect(await a.sessions.lost(WHO, poolKey(a))).toMatchObject({ askedSince: [] });
  expect(await b.sessions.lost(WHO, poolKey(b))).toBeUndefined();

  const c = at.bench('inst_c');
  expect(await c.sessions.lost(WHO, poolKey(c))).toBeUndefined();
  expect(await c.call('probe:echo', { text: 'c' })).toMatchObject({ kind: 'result' });
  const lost = (await at.rows()).find(({ subject }) => subject.instance === 'inst_a');
  expect(lost).toMatchObject({ status: 'reinitialize_required' });
  expect(await a.call('probe:echo', { text: 'a' })).toMatchObject({ code: 'CAPABILITY_SESSION_EXPIRED' });
});

test('an approval waits on the session of the process in which it is asked for', async () => {
  const at = world();
  const [a, b] = [at.bench('inst_a'), at.bench('inst_b')];
  await b.call('probe:echo', { text: 'b' });
  await a.call('probe:echo', { text: 'a' });
  const asked = { approvalId: 'apr_1', at: Date.now(), until: Date.now() + 1000 };
  const server = b.downstreams.connection('probe')!.server;
  const through = { server, who: WHO, poolKey: poolKey(b), run: RUN };
  const awaiting = await b.sessions.awaiting(through, asked);
  const own = (await at.rows()).find(({ subject }) => subject.instance === 'inst_b');
  expect(awaiting?.id).toBe(own?.subject.id);
});

test('of a process that is gone the next one goes on, however many have ended since', async () => {
  const at = world();
  const a = at.bench('inst_a');
  await a.call('probe:echo', { text: 'a' });
  const [left] = await at.rows();
  const { ledger } = a;
  for (let ended = 0; ended < 25; ended++) {
    const { id: _id, openedAt: _at, ...subject } = { ...left!.subject, instance: `inst_${ended}` };
    const one = await ledger.open(subject, RUN, 1000);
    await ledger.move(one.subject, { type: 'capability_session_completed', reason: 'over', at: Date.now() });
  }
  at.gone.add('inst_a');
  const b = at.bench('inst_b');
  await b.call('probe:echo', { text: 'b' });
  const rows = await at.rows();
  const next = rows.find(({ subject }) => subject.instance === 'inst_b');
  expect(next?.subject.reinitializedFrom).toBe(left!.subject.id);
  const before = rows.find(({ subject }) => subject.id === left!.subject.id);
  expect(before).toMatchObject({ status: 'expired', cause: 'host_gone', reinitializedAs: next?.subject.id });
});

test('a session that cannot be recorded is no fault of its server', async () => {
  const store = createMemoryStore();
  const full = new Proxy(store, {
    get(target, name) {
      if (name === 'commit') {
        return () => Promise.reject(new RuntimeError('STORE_UNAVAILABLE', 'the disk is full'));
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const beside = { store: full, instance: 'inst_a', isAlive: async () => false };
  const bench = createBench([probe()], process.env, undefined, {}, { beside });
  onTestFinished(() => bench.end());
  expect(await bench.call('probe:echo', { text: 'a' })).toMatchObject({
    ...{ code: 'STORE_UNAVAILABLE', message: 'the disk is full', sideEffect: 'not_executed' },
  });
});
