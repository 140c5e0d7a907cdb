import { describe, expect, test } from 'vitest';
import { Endable } from '../../src/base/abort.ts';
import { asRuntimeError, RuntimeError } from '../../src/base/errors.ts';
import type { WorkflowHold } from '../../src/pack/workflows/contract.ts';
import { createWorkflows } from '../../src/pack/workflows/workflows.ts';
import type { Store } from '../../src/store/contract.ts';
import { CALLER, createRig, node, SECRET } from './rig.ts';

const CHAIN = { tenant: 'local', aggregate: 'session', id: 'wf' } as const;
const loop = (until: string): Record<string, unknown> => ({ loop: { until, max_iterations: 100 } });

describe('the chain of a workflow', () => {
  test('is read from its newest snapshot, which holds no word that a model said', async () => {
    const rig = createRig({
      a: [{ complete: 'a word of the model' }],
      b: [{ wait: 'apr' }, { complete: 'b' }],
    });
    const nodes = [node('a', loop('iteration >= 100')), node('b', { depends_on: ['a'] })];
    await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
    const snapshot = await rig.store.snapshot(CHAIN);
    expect(snapshot?.seq).toBeGreaterThanOrEqual(200);
    expect(JSON.stringify(snapshot)).not.toContain('a word of the model');
    let read = 0;
    const counting: Store = {
      ...rig.store,
      async read(chain, from, limit) {
        const page = await rig.store.read(chain, from, limit);
        read += page.length;
        return page;
      },
    };
    const later = createWorkflows({ ...rig.deps, store: counting });
    expect(await later.inspect(CALLER, 'wf')).toEqual(await rig.workflows.inspect(CALLER, 'wf'));
    expect(read).toBeLessThan(20);
    expect(await later.resume(CALLER, 'wf', {}, rig.io)).toMatchObject({ kind: 'completed' });
  });

  test('shows of a long output what is left of it without its secrets', async () => {
    const rig = createRig({ a: [{ complete: `${'x'.repeat(1990)}${SECRET}${'y'.repeat(100)}` }] });
    await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } }, rig.io);
    const ended = (await rig.store.read(CHAIN)).find(({ header }) => header.type === 'node_completed');
    const shown = `${'x'.repeat(1990)}[REDACTED]`;
    expect(ended?.evidence).toMatchObject({
      value: { output: { assistant_message: shown, cut_from: 2100 } },
    });
  });

  test('that ended while it was being canceled is listed as what it is', async () => {
    const rig = createRig({ a: [{ wait: 'apr' }, { complete: 'a' }] });
    await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } }, rig.io);
    let ends = 0;
    const elsewhere = createWorkflows({
      ...rig.deps,
      store: {
        ...rig.store,
        async commit(commit) {
          const isWish = commit.appends?.some(({ type }) => type === 'cancel_requested');
          if (isWish === true && ends++ === 0) await rig.workflows.resume(CALLER, 'wf', {}, rig.io);
          return rig.store.commit(commit);
        },
      },
    });
    expect(await elsewhere.cancel(CALLER, 'wf', 'enough')).toEqual({ status: 'completed' });
    expect((await rig.store.row('session', 'local', 'wf'))?.status).toBe('completed');
    expect((await rig.records('wf')).at(-1)).toBe('workflow_completed');
  });

  test('shows in the list of sessions with its status, kind and counts', async () => {
    const rig = createRig({ a: [{ wait: 'apr' }, { complete: 'a' }] });
    const nodes = [node('a'), node('b')];
    await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', id: 'demo', nodes } }, rig.io);
    const { items } = await rig.store.list({
      kind: 'session',
      tenant: 'local',
      status: 'waiting_approval',
      limit: 10,
    });
    expect(items).toMatchObject([
      {
        id: 'wf',
        principal: 'os:1000',
        body: {
          kind: 'workflow',
          workflow: 'demo',
          node_count: 2,
          nodes_by_status: { waiting_approval: 1, completed: 1 },
        },
      },
    ]);
    await rig.workflows.resume(CALLER, 'wf', {}, rig.io);
    expect((await rig.store.row('session', 'local', 'wf'))?.status).toBe('completed');
  });

  test('whose payloads were erased is no longer run', async () => {
    const rig = createRig({ a: [{ wait: 'apr' }] });
    await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } }, rig.io);
    await rig.store.erase(CHAIN, 'all', 1, 'retention');
    const asked = rig.workflows.resume(CALLER, 'wf', {}, rig.io);
    await expect(asked).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('the hold of a workflow', () => {
  test('is one: a second run is refused while the first goes on', async () => {
    const rig = createRig();
    let open = (): void => undefined;
    let begun = (): void => undefined;
    const isRunning = new Promise<void>((go) => (begun = go));
    rig.sessions.gate = () =>
      new Promise((go) => {
        open = go;
        begun();
      });
    const first = rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes: [node('a')] } }, rig.io);
    await isRunning;
    const second = await rig.workflows
      .resume(CALLER, 'wf', {}, rig.io)
      .catch((thrown: unknown) => asRuntimeError(thrown));
    expect(second).toMatchObject({ code: 'CONFLICT', details: { reason: 'run_held' } });
    open();
    expect(await first).toMatchObject({ kind: 'completed' });
    expect(rig.sessions.of('a')[0]!.runs).toHaveLength(1);
  });

  test('that is lost ends the run, and nothing it still learns is written', async () => {
    const rig = createRig();
    const lost = new Endable();
    const { take } = rig.deps.holds;
    const holds = {
      take: async (...args: Parameters<typeof take>): Promise<WorkflowHold> => ({
        ...(await take(...args)),
        over: lost,
      }),
    };
    rig.sessions.gate = async () => {
      lost.end('lost');
    };
    const workflow = { session_id: 'wf', nodes: [node('a'), node('b', { depends_on: ['a'] })] };
    const asked = createWorkflows({ ...rig.deps, holds }).start(CALLER, { workflow }, rig.io);
    await expect(asked).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await rig.records('wf')).toEqual(['workflow_started', 'node_ready a', 'node_started a']);
    rig.sessions.gate = () => Promise.resolve();
    expect(await rig.workflows.resume(CALLER, 'wf', {}, rig.io)).toMatchObject({ kind: 'completed' });
  });

  test('is given back when the caller leaves, and the workflow can be gone on with', async () => {
    const rig = createRig();
    const leave = new AbortController();
    rig.sessions.gate = async () => {
      leave.abort();
    };
    const nodes = [node('a'), node('b', { depends_on: ['a'] })];
    const io = { signal: leave.signal };
    const left = await rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, io);
    expect(left).toMatchObject({ kind: 'suspended', status: 'active', node_id: 'a', over: false });
    rig.sessions.gate = () => Promise.resolve();
    expect(await rig.workflows.resume(CALLER, 'wf', {}, rig.io)).toMatchObject({ kind: 'completed' });
    expect(rig.sessions.of('a')).toHaveLength(1);
  });
});

describe('an invocation', () => {
  test.each(['STORE_UNAVAILABLE', 'SIDE_EFFECT_UNKNOWN'] as const)(
    'ends with %s of what cannot be recorded, which is no failure of the node',
    async (code) => {
      const rig = createRig();
      const { run } = rig.sessions;
      rig.sessions.run = async () => {
        throw new RuntimeError(code);
      };
      const workflow = { session_id: 'wf', nodes: [node('a', { retry: { max_attempts: 2, delay_ms: 1 } })] };
      await expect(rig.workflows.start(CALLER, { workflow }, rig.io)).rejects.toMatchObject({ code });
      rig.sessions.run = run;
      expect(await rig.workflows.resume(CALLER, 'wf', {}, rig.io)).toMatchObject({ kind: 'completed' });
      expect(rig.sessions.of('a')).toHaveLength(1);
    },
  );

  test('that fails stops its other branches first', async () => {
    const rig = createRig();
    const { run } = rig.sessions;
    let stopped = false;
    rig.sessions.run = (caller, id, how, io) => {
      if (rig.sessions.all.get(id)?.node === 'a')
        return Promise.reject(new RuntimeError('STORE_UNAVAILABLE'));
      rig.sessions.gate = () =>
        new Promise((go) => {
          io.signal.addEventListener('abort', () => {
            stopped = true;
            go();
          });
        });
      return run(caller, id, how, io);
    };
    const workflow = { session_id: 'wf', nodes: [node('b'), node('a')] };
    await expect(rig.workflows.start(CALLER, { workflow }, rig.io)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    expect(stopped).toBe(true);
  });

  test('that waits for a retry is ended by a cancel, without the time passing', async () => {
    const rig = createRig({ a: [{ fail: 'PROVIDER_TIMEOUT' }] });
    const nodes = [node('a', { retry: { max_attempts: 2, delay_ms: 30_000 } })];
    const asked = rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
    while (rig.clock.pending === 0) await new Promise((go) => setImmediate(go));
    await rig.workflows.cancel(CALLER, 'wf', 'enough');
    expect(await asked).toMatchObject({ kind: 'canceled', reason: 'enough' });
    expect(rig.clock.pending).toBe(0);
    expect(rig.sessions.of('a')).toHaveLength(1);
  });
});
