// Shows what is told of a workflow that its process left behind, and of one whose seals this process cannot open.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { createWorkflows } from '../../src/pack/workflows/workflows.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import { startSweep } from '../../src/pack/background/sweep.ts';
import type { Store } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, createRig, DIAMOND, node, STRANGER } from './rig.ts';
import type { Rig } from './rig.ts';

const WORKFLOW = { session_id: 'wf', nodes: DIAMOND };

/** Begun, and its process has died while `a` ran. */
async function leftBehind(): Promise<Rig> {
  const rig = createRig();
  rig.sessions.gate = () => Promise.reject(new RuntimeError('STORE_UNAVAILABLE'));
  await expect(rig.workflows.start(CALLER, { workflow: WORKFLOW }, rig.io)).rejects.toThrow();
  rig.sessions.gate = () => Promise.resolve();
  return rig;
}

async function swept({ store, clock, workflows }: Rig): Promise<string[]> {
  const sweep = startSweep({
    store,
    clock,
    queue: createQueue({ store, clock, maxQueued: 9, agentId: 'agent' }),
    tenants: () => ['local'],
    recover: ({ id, kind }) =>
      kind === 'workflow' ? workflows.recover(CALLER, id) : Promise.reject(new Error('a session?')),
  });
  await sweep.stop();
  return sweep.look();
}

/** What lists and health read of it. */
const reasonIn = async (rig: Rig): Promise<unknown> =>
  (await rig.store.row('session', 'local', 'wf'))?.body.reason;

const statusIn = async (rig: Rig): Promise<string | undefined> =>
  (await rig.store.row('session', 'local', 'wf'))?.status;

verifies(
  { partial: ['QB-06', 'QB-08'] },
  'a workflow whose process has gone is suspended, says why, and goes on when it is resumed',
  async () => {
    const rig = await leftBehind();
    expect(await statusIn(rig)).toBe('active');
    await swept(rig);
    expect(await statusIn(rig)).toBe('suspended');
    expect(await reasonIn(rig)).toContain('has gone');
    const told = await rig.workflows.inspect(CALLER, 'wf');
    expect(told).toMatchObject({ kind: 'suspended', status: 'suspended', over: false, node_id: 'a' });
    expect(told).toMatchObject({ reason: expect.stringContaining('has gone') as string });
    expect((await rig.workflows.continuations(CALLER, 'wf')).map(({ kind }) => kind)).toEqual([
      'created',
      'suspended',
    ]);
    expect(await swept(rig)).toEqual([]);
    const seen: (string | undefined)[] = [];
    rig.sessions.gate = async () => {
      seen.push(await statusIn(rig));
    };
    const done = await rig.workflows.resume(CALLER, 'wf', {}, rig.io);
    expect(done).toMatchObject({ kind: 'completed', completed_node_ids: ['a', 'b', 'c', 'd'] });
    expect(seen).toEqual(['active', 'active', 'active', 'active']);
    expect(await statusIn(rig)).toBe('completed');
    expect(await reasonIn(rig)).toBeUndefined();
  },
);

test('a workflow that is run, waits, has ended or is in the queue is left alone', async () => {
  const rig = createRig({ a: [{ wait: 'apr_1' }, { complete: 'yes' }] });
  const during: unknown[] = [];
  rig.sessions.gate = async () => {
    during.push(await rig.workflows.recover(CALLER, 'wf'));
  };
  await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } }, rig.io);
  expect(await rig.workflows.recover(CALLER, 'wf')).toBe(false);
  await rig.workflows.resume(CALLER, 'wf', {}, rig.io);
  expect(await rig.workflows.recover(CALLER, 'wf')).toBe(false);
  expect(during).toEqual([false, false]);
  await expect(rig.workflows.recover(STRANGER, 'wf')).rejects.toMatchObject({ code: 'NOT_FOUND' });

  const other = await leftBehind();
  await createQueue({ ...other, maxQueued: 9, agentId: 'agent' }).admit(CALLER, {
    id: 'wf',
    kind: 'workflow',
  });
  expect(await swept(other)).toEqual([]);
  expect(await statusIn(other)).toBe('active');
});

test('a wake-up takes up what was left behind, too, and shows it as under way', async () => {
  const rig = createRig();
  const nodes = [node('a', { wake_at: '2026-01-01T00:00:10Z' }), node('b')];
  const { commit } = rig.store;
  let left = 2;
  const store = {
    ...rig.store,
    commit: (one: object) => (left-- > 0 ? commit(one) : Promise.reject(new Error())),
  };
  const dead = createWorkflows({ ...rig.deps, store });
  await expect(dead.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io)).rejects.toThrow();
  expect(await rig.workflows.recover(CALLER, 'wf')).toBe(true);
  rig.clock.advance(10_000);
  expect(await rig.fire()).toBe(1);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });
  const seen = await rig.records('wf');
  expect(seen.indexOf('workflow_resumed')).toBe(seen.indexOf('workflow_interrupted') + 1);
});

verifies({ partial: ['WF-15'] }, 'turns and calls are counted over every session of every node', async () => {
  const rig = createRig({ b: [[{ fail: 'PROVIDER_TIMEOUT' }], [{ complete: 'at last' }]] });
  const nodes = [node('a'), node('b', { retry: { max_attempts: 2 } })];
  const started = await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
  expect(started).toMatchObject({ turn_count: 0, tool_call_count: 0 });
  const ids = [...rig.sessions.all.keys()];
  expect(ids).toHaveLength(3);
  const row = { kind: 'session', tenant: 'local', principal: CALLER.principal, status: 'completed' } as const;
  const rows = ids.map((id) => ({
    row: { ...row, id, updatedAt: 0, body: { turn_count: 2, tool_call_count: 1 } },
  }));
  await rig.store.commit({ rows });
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ turn_count: 6, tool_call_count: 3 });
});

test('a definition that cannot be read here is not said to be erased', async () => {
  const rig = createRig();
  await rig.workflows.start(CALLER, { workflow: WORKFLOW }, rig.io);
  const elsewhere = createWorkflows({
    ...rig.deps,
    store: { ...rig.store, unseal: () => Promise.resolve({ state: 'unreadable' }) },
  });
  const sentence = expect.stringContaining('keys of this state directory') as string;
  await expect(elsewhere.graph(CALLER, 'wf')).rejects.toMatchObject({ message: sentence });
  await rig.store.erase({ tenant: 'local', aggregate: 'session', id: 'wf' }, [1], 0, 'asked for');
  await expect(rig.workflows.graph(CALLER, 'wf')).rejects.toMatchObject({
    message: expect.not.stringContaining('keys') as string,
  });
});

test.each(['before', 'after'])(
  'a cancel within the look is carried out when it is over: %s its record',
  async (when) => {
    const rig = await leftBehind();
    const canceled: unknown[] = [];
    const cancel = async (): Promise<void> =>
      void canceled.push(await rig.workflows.cancel(CALLER, 'wf', 'not wanted'));
    const { commit } = rig.store;
    const store: Store = {
      ...rig.store,
      async commit(one) {
        const isLook = one.appends?.[0]?.type === 'workflow_interrupted' && canceled.length === 0;
        if (isLook && when === 'before') await cancel();
        const done = await commit(one);
        if (isLook && when === 'after') await cancel();
        return done;
      },
    };
    const looking = createWorkflows({ ...rig.deps, store });
    expect(await swept({ ...rig, workflows: looking })).toEqual([]);
    expect(canceled).toEqual([{ status: 'active' }]);
    expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({
      kind: 'canceled',
      reason: 'not wanted',
    });
    expect(await statusIn(rig)).toBe('canceled');
  },
);

test('a cancel whose holder has died without seeing it is carried out by the next look', async () => {
  const rig = createRig({ a: [{ wait: 'apr' }] });
  const nodes = [node('a'), node('b', { depends_on: ['a'] })];
  await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
  const hold = await rig.deps.holds.take({ tenant: 'local', aggregate: 'session', id: 'wf' }, () =>
    Promise.resolve(true),
  );
  await rig.workflows.cancel(CALLER, 'wf', 'not wanted');
  await hold.release();
  expect(await swept(rig)).toEqual([]);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'canceled' });
});

test.each<[string, (rig: Rig) => Promise<unknown>]>([
  ['canceled', ({ workflows }) => workflows.cancel(CALLER, 'wf', 'again')],
  ['resumed', ({ workflows, io }) => workflows.resume(CALLER, 'wf', {}, io)],
])('a cancel that an earlier version wrote over ends it once it is %s again', async (_how, goOn) => {
  const rig = await leftBehind();
  const chain = { tenant: 'local', aggregate: 'session', id: 'wf' } as const;
  const hold = await rig.deps.holds.take(chain, () => Promise.resolve(true));
  await rig.workflows.cancel(CALLER, 'wf', 'not wanted');
  const { version: _version, ...row } = (await rig.store.row('session', 'local', 'wf'))!;
  const type = 'workflow_interrupted';
  const append = { chain, when: { epoch: hold.epoch }, type, at: 0, evidence: { reason: 'gone' } };
  await rig.store.commit({ appends: [append], rows: [{ row: { ...row, status: 'suspended' } }] });
  await hold.release();
  expect(await swept(rig)).toEqual([]);
  expect(await statusIn(rig)).toBe('suspended');
  await goOn(rig);
  const ended = { kind: 'canceled', reason: 'not wanted' };
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject(ended);
  expect(await statusIn(rig)).toBe('canceled');
});
