// Each check of health over a store with real work in it: right as long as nothing is wrong, and saying so when it is.
import { expect, test } from 'vitest';
import { health } from '../../src/inspect/health.ts';
import type { Check, HealthDeps } from '../../src/inspect/health-check.ts';
import { createLedger } from '../../src/capabilities/sessions/ledger.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import { startSweep } from '../../src/pack/background/sweep.ts';
import { REASONS } from '../../src/pack/managed/next-step.ts';
import { isoTime } from '../../src/base/clock.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { rowView } from '../../src/inspect/row-view.ts';
import type { RowKind, Store } from '../../src/store/contract.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, boot, CALLER, createWorld, dyingStore, id, LONG } from '../managed/rig.ts';
import type { Death, World } from '../managed/rig.ts';
import { PROFILE } from '../pack/rig.ts';

const MINUTE = 60_000;

function depsOf(world: World, over: Partial<HealthDeps> = {}): HealthDeps {
  const { store, clock, config } = world;
  return {
    ...{ store, clock, config },
    directory: { definition: () => undefined, all: () => [] },
    hasEnv: () => true,
    isAlive: (instance) => Promise.resolve(!world.dead.has(instance)),
    drift: () => Promise.resolve('same'),
    ...over,
  };
}

async function seen(world: World, check: string, over: Partial<HealthDeps> = {}): Promise<Check[]> {
  const { checks } = await health(depsOf(world, over), CALLER);
  return checks.filter((one) => one.check === check);
}

/** Status and what is said, in one line each. */
async function said(world: World, check: string, over: Partial<HealthDeps> = {}): Promise<string[]> {
  return (await seen(world, check, over)).map(({ status, detail }) => `${status}: ${detail}`);
}

function reporting(world: World, over: Partial<Awaited<ReturnType<Store['report']>>>): { store: Store } {
  const report: Store['report'] = async () => ({ ...(await world.store.report()), ...over });
  return { store: { ...world.store, report } };
}

/** A session whose process dies while its model is asked for the second time. */
async function leftBehind(world: World, over: object = {}): Promise<string> {
  const sessionId = await id(boot(world), over);
  const death: Death = { happened: false };
  const victim = boot(world, (store) => dyingStore(store, 6, 'after', death));
  await expect(victim.resume(sessionId)).rejects.toThrow();
  world.dead.add(victim.instance);
  return sessionId;
}

async function swept(world: World): Promise<void> {
  const { store, clock } = world;
  const heir = boot(world);
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
  const recover = (run: { id: string }): Promise<boolean> => heir.managed.recover(CALLER, run.id);
  await startSweep({ store, clock, queue, tenants: () => ['local'], recover }).stop();
}

/** A call that did not run, with a token to ask for it again. */
async function lostCall({ store, clock }: World): Promise<string> {
  const ledger = createLedger({ store, clock, ids: createFixedIds('cap') });
  const { tenant, principal } = CALLER;
  const of = {
    server: 'desk',
    transport: 'http',
    owner: 'team',
    poolKey: 'k',
    policyDigest: 'p',
    instance: 'i',
  };
  const run = { runId: 'run_1', traceId: 't' };
  const opened = await ledger.open({ tenant, principal, ...of, transport: 'http' }, run, MINUTE);
  const until = clock.now() + MINUTE;
  await ledger.offer({ tenant, id: opened.subject.id }, { runId: 'run_1', callId: 'call_1', until });
  return opened.subject.id;
}

const PAYS = { mind: () => asks('pay', { sum: 5 }) };

verifies(
  ['HE-03'],
  'storage, evidence, locks, queue, approvals, sessions, providers, policy and scheduler each have a check that sees its fault',
  async () => {
    const world = createWorld(PAYS);
    const { store, clock } = world;
    const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
    const watched = [
      ...['storage', 'evidence', 'configuration', 'approvals', 'sessions', 'connections'],
      ...['queue', 'locks', 'scheduler', 'models'],
    ];
    for (const check of watched) {
      expect(await seen(world, check), check).toMatchObject([{ check, status: 'ok' }]);
    }
    const full = reporting(world, { writable: false });
    expect(await said(world, 'storage', full)).toEqual([expect.stringMatching(/^fail: .*cannot be written/)]);
    const torn = reporting(world, { damage: [{ what: 'record 3' }] });
    expect(await said(world, 'evidence', torn)).toEqual(['fail: 1 damaged item(s): record 3']);
    for (const drift of ['changed', 'unreadable'] as const) {
      const over = { drift: () => Promise.resolve(drift) };
      expect(await seen(world, 'configuration', over)).toMatchObject([{ status: 'warn' }]);
    }
    const wire = {
      ...PROFILE,
      provider: 'openai_compatible' as const,
      apiKeyEnv: 'A_KEY',
      baseUrl: 'http://a.test',
    };
    const models = { default: 'demo', profiles: { demo: wire } };
    const keyless = { config: { ...world.config, models }, hasEnv: () => false };
    expect(await said(world, 'models', keyless)).toEqual([`warn: not set: A_KEY (${PROFILE.name})`]);

    const [first, second] = [await id(boot(world)), await id(boot(world))];
    for (const run of [first, second]) await queue.admit(CALLER, { id: run, kind: 'session' });
    expect(await said(world, 'queue')).toEqual([
      expect.stringMatching(/^ok: 2 of \d+ queued, the oldest for 0/),
    ]);
    clock.advance(2 * MINUTE);
    expect(await said(world, 'queue')).toEqual([
      expect.stringMatching(/^warn: 2 of \d+ queued.* for 2 min$/),
    ]);
    expect(await said(world, 'scheduler')).toEqual([expect.stringMatching(/^warn: .*due for 2 min/)]);
    const { config } = world;
    const background = { ...config.runtime.background, maxQueued: 2 };
    const bounded = { config: { ...config, runtime: { ...config.runtime, background } } };
    expect(await seen(world, 'queue', bounded)).toMatchObject([{ status: 'fail' }]);
    clock.advance(8 * MINUTE);
    expect(await seen(world, 'scheduler')).toMatchObject([{ status: 'fail' }]);

    const entry = await queue.find('local', first);
    await queue.move(entry!, { type: 'taken', instance: 'inst_gone' });
    expect(await said(world, 'locks')).toEqual(['ok: 1 held, the oldest for 0 min']);
    world.dead.add('inst_gone');
    expect(await said(world, 'locks')).toEqual([
      expect.stringMatching(`^warn: 1 held by .* gone .*: ${first}$`),
    ]);

    expect((await boot(world).start('pay')).kind).toBe('approval_required');
    expect(await seen(world, 'approvals')).toMatchObject([{ status: 'warn' }]);
    clock.advance(MINUTE);
    const limited = { config: { ...config, approvals: { ...config.approvals, escalationSlaMinutes: 1 } } };
    expect(await seen(world, 'approvals', limited)).toMatchObject([{ status: 'fail' }]);

    const short = await id(boot(world), { expiresAt: clock.now() + 1 });
    await boot(world).resume(short);
    expect(await seen(world, 'sessions')).toMatchObject([{ status: 'ok' }]);
    clock.advance(1);
    expect(await said(world, 'sessions')).toEqual([`warn: 1 ran out of time: ${short}`]);
    const lost = await lostCall(world);
    expect(await said(world, 'connections')).toEqual([
      expect.stringMatching(`^warn: 1 lost with a call.*: ${lost}$`),
    ]);
  },
);

verifies(
  ['IN-14'],
  'a run without progress, one left by its process, one out of time, an overdue approval and a lease of the dead are each found',
  async () => {
    const stuck = createWorld({ mind: LONG(3) });
    const sessionId = await leftBehind(stuck);
    stuck.clock.advance(30 * MINUTE - 1);
    expect(await seen(stuck, 'sessions')).toMatchObject([{ status: 'ok' }]);
    stuck.clock.advance(1);
    expect(await said(stuck, 'sessions')).toEqual([
      `warn: 1 under way without a record for 30 min: ${sessionId}`,
    ]);
    await swept(stuck);
    expect(await said(stuck, 'sessions')).toEqual([`warn: 1 left by a process that is gone: ${sessionId}`]);
    await boot(stuck).resume(sessionId);
    expect(await seen(stuck, 'sessions')).toMatchObject([{ status: 'ok' }]);

    const late = createWorld(PAYS);
    const expiring = await id(boot(late), { expiresAt: late.clock.now() + MINUTE });
    await boot(late).resume(expiring);
    expect(await seen(late, 'sessions')).toMatchObject([{ status: 'ok' }]);
    late.clock.advance(MINUTE);
    expect(await said(late, 'sessions')).toEqual([`warn: 1 ran out of time: ${expiring}`]);
    expect(await boot(late).managed.status(CALLER, expiring)).toBe('expired'); // now on record
    expect(await said(late, 'sessions')).toEqual([`warn: 1 ran out of time: ${expiring}`]);
    late.clock.advance(24 * 60 * MINUTE);
    expect(await seen(late, 'sessions')).toMatchObject([{ status: 'ok' }]);

    const overdue = createWorld(PAYS);
    await boot(overdue).start('pay');
    const { approvals } = overdue.config;
    const limited = { config: { ...overdue.config, approvals: { ...approvals, escalationSlaMinutes: 5 } } };
    expect(await seen(overdue, 'approvals', limited)).toMatchObject([{ status: 'warn' }]);
    overdue.clock.advance(5 * MINUTE);
    expect(await seen(overdue, 'approvals', limited)).toMatchObject([{ status: 'fail' }]);

    const orphaned = createWorld({ mind: LONG(1) });
    const { store, clock } = orphaned;
    const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
    const run = await id(boot(orphaned));
    await queue.admit(CALLER, { id: run, kind: 'session' });
    await queue.move((await queue.find('local', run))!, { type: 'taken', instance: 'inst_gone' });
    orphaned.dead.add('inst_gone');
    const [found] = await seen(orphaned, 'locks');
    expect(found).toMatchObject({ status: 'warn', detail: expect.stringContaining(run) as unknown });
    expect(found?.action).toContain('by itself');
  },
);

test('what is stuck of another principal is not told', async () => {
  const world = createWorld({ mind: LONG(3) });
  await leftBehind(world);
  world.clock.advance(60 * MINUTE);
  const other = { ...CALLER, principal: 'os:2000' };
  for (const foreign of [other, { ...CALLER, tenant: 'elsewhere' }]) {
    const { checks } = await health(depsOf(world), foreign);
    const own = checks.filter(({ check }) => check === 'sessions' || check === 'locks');
    expect(own).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
  }
});

/** Rows as they would stand there, the first the oldest. */
async function standing(
  { store, clock }: World,
  kind: RowKind,
  status: string,
  bodies: readonly JsonObject[],
  prefix = `${kind}_`,
): Promise<void> {
  const { tenant, principal } = CALLER;
  const rows = bodies.map((body, at) => ({
    row: {
      ...{ kind, tenant, principal, status, body },
      id: `${prefix}${String(at).padStart(4, '0')}`,
      updatedAt: clock.now() - bodies.length + at,
    },
  }));
  await store.commit({ rows });
}

function many(body: JsonObject): JsonObject[] {
  return Array.from({ length: 1001 }, () => body);
}

test('where more stands than is looked at, the check says so', async () => {
  const world = createWorld();
  await standing(world, 'session', 'active', many({}));
  await standing(world, 'queue', 'queued', many({}));
  await standing(world, 'request', 'in_progress', many({ instance: 'inst_here' }));
  await standing(world, 'capability_session', 'resumable', many({}));
  const cut = {
    sessions: 'active only the oldest',
    queue: 'queued only the oldest',
    locks: 'in_progress only the oldest',
    effects: 'in_progress only the oldest',
    connections: 'resumable only the newest',
  };
  for (const [check, words] of Object.entries(cut)) {
    const [only] = await said(world, check);
    expect(only?.split('; ').slice(1), check).toEqual([`of status ${words} 1000 were looked at`]);
  }
  const aged = createWorld();
  await standing(aged, 'session', 'expired', many({}));
  aged.clock.advance(24 * 60 * MINUTE);
  expect(await said(aged, 'sessions')).toEqual(['ok: no run is stuck, left behind or out of time']);
});

test('what is stuck is found behind a thousand that are not, for it is the oldest', async () => {
  const world = createWorld();
  const rows = [{ instance: 'inst_gone' }, ...many({ instance: 'inst_here' })];
  world.dead.add('inst_gone');
  await standing(world, 'queue', 'queued', rows);
  await standing(world, 'request', 'in_progress', rows);
  expect(await said(world, 'locks')).toEqual([expect.stringMatching(/^warn: 1 held by .*: request_0000;/)]);
  expect(await said(world, 'effects')).toEqual([
    expect.stringMatching(/^warn: 1 .*the oldest request_0000;/),
  ]);
  world.clock.advance(60_000 - rows.length);
  expect(await said(world, 'queue')).toEqual([expect.stringMatching(/the oldest for 1 min;/)]);
});

test('a run that was left last is found behind a thousand that replied and rest since', async () => {
  const world = createWorld();
  await standing(world, 'session', 'suspended', [...many({}), { reason: REASONS.interrupted }]);
  expect(await said(world, 'sessions')).toEqual([
    'warn: 1 left by a process that is gone: session_1001; of status suspended only the newest 1000 were looked at',
  ]);
});

test('each process is asked after once, and the calls under way are read once', async () => {
  const world = createWorld();
  await standing(world, 'request', 'in_progress', [{ instance: 'inst_a' }, { instance: 'inst_a' }]);
  const asked: string[] = [];
  const read: string[] = [];
  const { store } = world;
  const over: Partial<HealthDeps> = {
    isAlive: (instance) => (asked.push(instance), Promise.resolve(true)),
    store: { ...store, list: (query) => (read.push(`${query.kind} ${query.status}`), store.list(query)) },
  };
  expect(await said(world, 'locks', over)).toEqual(['ok: 2 held, the oldest for 0 min']);
  expect(asked).toEqual(['inst_a']);
  expect(read.filter((one) => one === 'request in_progress')).toHaveLength(1);
});

test('what ran out and was never recorded as such is told for a day, as what is recorded', async () => {
  const world = createWorld({ mind: LONG(3) });
  const { clock } = world;
  await leftBehind(world, { expiresAt: clock.now() + MINUTE });
  const suspended = { reason: 'interrupted', expires_at: isoTime(clock.now() + MINUTE) };
  await standing(world, 'session', 'suspended', [suspended]);
  clock.advance(24 * 60 * MINUTE);
  expect(await said(world, 'sessions')).toEqual([expect.stringMatching(/^warn: 2 ran out of time/)]);
  clock.advance(MINUTE);
  expect(await seen(world, 'sessions')).toMatchObject([{ status: 'ok' }]);
});

test('a call is offered again for as long as its token counts, to health and to whoever looks', async () => {
  const world = createWorld();
  const { store, clock } = world;
  const lost = await lostCall(world);
  const row = (await store.row('capability_session', 'local', lost))!;
  clock.advance(MINUTE - 1);
  expect(await seen(world, 'connections')).toMatchObject([{ status: 'warn' }]);
  expect(rowView('capability_session', row, clock.now())).toMatchObject({
    must_retry: ['call_1'],
    retry_until: isoTime(clock.now() + 1),
    resume_token: expect.any(String) as unknown,
  });
  clock.advance(1);
  expect(await seen(world, 'connections')).toMatchObject([{ status: 'ok' }]);
  const view = rowView('capability_session', row, clock.now());
  expect(view).toMatchObject({ must_retry: [], resume_token: null });
  expect(view).not.toHaveProperty('retry_until');
});

test('a workflow is stuck where none of its nodes is under way and no worker is to take it', async () => {
  const world = createWorld();
  const { store, clock } = world;
  const [workflow, parent] = [{ kind: 'workflow' }, { workflow_id: 'session_0000', node_id: 'a' }];
  await standing(world, 'session', 'active', [workflow, { parent }, workflow, workflow]);
  for (const status of ['error', 'waiting_approval', 'suspended']) {
    const left = { ...workflow, nodes_by_status: { [status]: 1, compensating: 1 } };
    const told = { ...left, reason: REASONS.interrupted };
    const over = { ...workflow, nodes_by_status: { [status]: 1, completed: 1 } };
    const rows = [left, over, ...(status === 'suspended' ? [told] : [])];
    await standing(world, 'session', status, rows, `${status}_`);
  }
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent-1' });
  await queue.admit(CALLER, { id: 'session_0003', kind: 'workflow' });
  clock.advance(40 * MINUTE);
  expect(await said(world, 'sessions')).toEqual([
    expect.stringMatching(
      /^warn: 5 under way without a record for 30 min: session_0001, session_0002, suspended_0000, /,
    ),
    'warn: 1 left by a process that is gone: suspended_0002',
  ]);
});
