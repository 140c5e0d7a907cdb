// Owns the proof of the door itself: commits, receipts, failures, ids, limits. Approvals are beside it.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { Commit, Store } from '../../src/store/contract.ts';
import * as checks from '../attack/checks.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, CANARY, contextOf, createRig, expectStatus, SESSION, sessionOf } from './rig.ts';
import type { MakeRig } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

const make: MakeRig = createRig;

function counting(commits: Commit[]): (store: Store) => Store {
  return (store) => ({
    ...store,
    commit: (commit) => {
      commits.push(commit);
      return store.commit(commit);
    },
  });
}

function types(commits: Commit[]): string[][] {
  return commits.map((commit) => (commit.appends ?? []).map((one) => one.type));
}

describe('commits of a call', () => {
  verifies(
    { partial: ['EV-01'] },
    'an allowed call is start and outcome receipt, and nothing runs without the first',
    async () => {
      const commits: Commit[] = [];
      const rig = createRig({ wrapStore: counting(commits) });
      const done = expectStatus(await rig.call('note', { text: 'a' }), 'done');
      expect(types(commits)).toEqual([['call_started'], ['call_finished']]);
      expect(done.receiptIds).toHaveLength(2);
      const [start, end] = await rig.records();
      expect(start?.evidence).toMatchObject({
        value: {
          receipt_id: done.receiptIds[0],
          run_id: 'run_1',
          trace_id: 'trace',
          session_id: SESSION,
          tenant_id: 'local',
          principal_id: 'os:1000',
          actor_id: 'stdio:1',
          decision: 'allow',
          policy_digest: 'sha256:policy',
          arguments: { text: 'a' },
          tool_principal: 'svc-note',
          execution_mode: 'in-process',
          instance: 'inst_rig',
        },
      });
      expect(end?.evidence).toMatchObject({
        value: {
          receipt_id: done.receiptIds[1],
          start_receipt_id: done.receiptIds[0],
          outcome: 'success',
          side_effect_status: 'applied',
        },
      });
      await checks.startIsDurableBeforeEffect(make);
      await checks.noRecordNoEffect(make);
    },
  );

  test('a denied call is one commit, also for a tool that does not exist', async () => {
    const commits: Commit[] = [];
    const rig = createRig({ wrapStore: counting(commits) });
    await rig.call('forbidden', {});
    await rig.call('never-heard-of', {});
    expect(types(commits)).toEqual([['call_denied'], ['call_denied']]);
    await checks.denyHasNoEffect(make);
  });

  test('an approved call spends its approval in the start commit', async () => {
    const commits: Commit[] = [];
    const rig = createRig({ wrapStore: counting(commits) });
    const waiting = expectStatus(await rig.call('pay', {}), 'waiting_approval');
    const { deliver } = rig.kernel;
    await deliver(
      { tenant: 'local', principal: 'os:1000', roles: [], attestation: 'client', channel: 'elicitation' },
      waiting.approval.subject.approvalId,
      { kind: 'answered', decision: 'approve', latencyMs: 4000 },
    );
    commits.length = 0;
    await rig.call('pay', {});
    expect(types(commits)).toEqual([['call_started', 'approval_consumed'], ['call_finished']]);
  });

  test('an outcome that cannot be recorded is not reported as done, and the call is unknown from then on', async () => {
    let full = true;
    const rig = createRig({
      wrapStore: (store) => ({
        ...store,
        commit: (commit) =>
          full && commit.appends?.[0]?.type === 'call_finished'
            ? Promise.reject(new Error('disk full'))
            : store.commit(commit),
      }),
    });
    const same = { toolCallId: 'call_full' };
    expect((await rig.call('note', {}, same)).status).toBe('unknown');
    full = false;
    expect((await rig.call('note', {}, same)).status).toBe('unknown');
    expect(rig.effects).toHaveLength(1);
  });

  test('a freeze between deciding and starting is seen', () => checks.freezeBetweenIsSeen(make));

  test('arguments with reserved keys, depth, or numbers without a form are refused before any record', async () => {
    const rig = createRig();
    const deep = (n: number): unknown => (n === 0 ? 1 : [deep(n - 1)]);
    const bad = [
      JSON.parse('{"__proto__": {"a": 1}}'),
      { a: { constructor: 1 } },
      { a: Number.NaN },
      { a: 2 ** 53 },
      { a: deep(80) },
      { a: '\ud800' },
      [1],
      'text',
    ] as unknown[];
    for (const args of bad)
      await expect(rig.call('note', args)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(rig.effects).toHaveLength(0);
    expect(await rig.records()).toHaveLength(0);
  });
});

describe('one call id', () => {
  test('that is said to be new and was used before answers from its record, refused and waiting ones too', async () => {
    const rig = createRig();
    for (const [tool, status] of [
      ['note', 'done'],
      ['forbidden', 'denied'],
      ['pay', 'waiting_approval'],
    ] as const) {
      const same = { toolCallId: `call_${tool}`, isNew: true };
      expectStatus(await rig.call(tool, {}, same), status);
      const again = expectStatus(await rig.call(tool, {}, same), status);
      if (again.status === 'done') expect(again.outcome.replayed).toBe(true);
      const foreign = { ...same, session: sessionOf(rig.clock, { id: 'ses_other' }) };
      await expect(rig.call(tool, {}, foreign)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    expect(rig.effects).toHaveLength(1);
  });

  test('that is said to be new is not looked up', async () => {
    const asked: string[] = [];
    const rig = createRig({
      wrapStore: (store) => ({
        ...store,
        row: (kind, tenant, id, series) => {
          asked.push(id);
          return store.row(kind, tenant, id, series);
        },
      }),
    });
    await rig.call('note', {}, { toolCallId: 'call_new', isNew: true });
    await rig.call('note', { text: 'b' }, { toolCallId: 'call_old' });
    expect(asked).toContain('call_old');
    expect(asked).not.toContain('call_new');
  });

  test('twice at once is one effect and the same answer', async () => {
    const rig = createRig();
    const same = { toolCallId: 'call_same' };
    const [a, b] = await Promise.all([rig.call('note', {}, same), rig.call('note', {}, same)]);
    expect(a).toEqual(b);
    expect(rig.effects).toHaveLength(1);
    await checks.sameCallIdRunsOnce(make);
  });

  test('later gets the recorded answer', async () => {
    const rig = createRig();
    const same = { toolCallId: 'call_same' };
    const first = expectStatus(await rig.call('note', {}, same), 'done');
    const later = expectStatus(await rig.call('note', {}, same), 'done');
    expect(later.outcome).toEqual({ ...first.outcome, replayed: true });
    expect(later.sideEffect).toBe('applied');
    expect(rig.effects).toHaveLength(1);
  });

  test('of another session or tool is not found, and says nothing more', async () => {
    const rig = createRig();
    await rig.call('note', {}, { toolCallId: 'call_mine' });
    const other = { toolCallId: 'call_mine', session: sessionOf(rig.clock, { id: 'ses_other' }) };
    await expect(rig.call('note', {}, other)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(rig.call('look', {}, { toolCallId: 'call_mine' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(rig.effects).toHaveLength(1);
  });

  test('of another session or tenant that runs at this moment never gets its answer', async () => {
    const rig = createRig();
    rig.tool.run = (execution) =>
      Promise.resolve({
        kind: 'result',
        content: [{ type: 'text', text: execution.context.caller.tenant }],
        isError: false,
        notes: [],
      });
    const caller = { ...CALLER, tenant: 'foreign' };
    const settled = await Promise.allSettled([
      rig.call('note', {}, { toolCallId: 'call_x' }),
      rig.call('note', {}, { toolCallId: 'call_x', context: contextOf({ caller }) }),
      rig.call('note', {}, { toolCallId: 'call_x', session: sessionOf(rig.clock, { id: 'ses_other' }) }),
    ]);
    expect(settled[0]).toMatchObject({ value: { outcome: { content: [{ text: 'local' }] } } });
    expect(settled[1]).toMatchObject({ value: { outcome: { content: [{ text: 'foreign' }] } } });
    expect(settled[2]).toMatchObject({ reason: { code: 'NOT_FOUND' } });
  });
});

describe('cycle and budgets', () => {
  test('the fourth identical call is denied by the cycle rule', async () => {
    const rig = createRig();
    // Spelled differently, but the same call.
    const spellings = [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      { a: 1.0, b: 2 },
      { b: 2, a: 1 },
    ];
    const results = [];
    for (const args of spellings) results.push(await rig.call('look', args));
    expect(results.map((one) => one.status)).toEqual(['done', 'done', 'done', 'denied']);
    expect(results[3]?.decision).toMatchObject({ ruleId: 'cycle_detection', aliases: ['F4'] });
    expect((await rig.records()).at(-1)?.evidence).toMatchObject({ value: { rule_id: 'cycle_detection' } });
    await checks.cycleHoldsInParallel(make);
  });

  test('a budget is never overrun by calls at once', () => checks.budgetHoldsInParallel(make));

  test('a tighter limit of the session counts, and one that is no number denies', async () => {
    const rig = createRig({ config: sampleConfig({ policy: { loopBudget: { maxCalls: 9 } } }) });
    const session = sessionOf(rig.clock, { limits: { maxCalls: 1 } });
    expect((await rig.call('note', { n: 1 }, { session })).status).toBe('done');
    expect((await rig.call('note', { n: 2 }, { session })).decision.ruleId).toBe('loop_budget');
    const broken = sessionOf(rig.clock, { limits: { maxCalls: Number.NaN } });
    expect((await rig.call('note', { n: 3 }, { session: broken })).decision.ruleId).toBe('loop_budget');
    expect(rig.effects).toHaveLength(1);
  });

  test('one principal or tenant with many sessions at once stays within its window', async () => {
    const perPrincipal = { maxCalls: 5, windowSeconds: 60 };
    const rig = createRig({ config: sampleConfig({ policy: { loopBudget: { perPrincipal } } }) });
    const call = (n: number): Promise<unknown> =>
      rig.call('note', { n }, { session: sessionOf(rig.clock, { id: `ses_${n}` }) });
    await Promise.all(Array.from({ length: 20 }, (_, n) => call(n)));
    expect(rig.effects).toHaveLength(5);
    rig.clock.advance(60_000);
    await call(99);
    expect(rig.effects).toHaveLength(6);
  });
});

describe('a process that ended', () => {
  verifies(
    ['RF-17'],
    'leaves a call that is unknown, recorded once by whoever comes; a living one is left alone',
    () => checks.orphansAreSettledOnce(make),
  );

  test('or only seemed to: its late outcome does not overwrite what was settled', async () => {
    let release = (): void => undefined;
    const slow = createRig({ instance: 'inst_slow', idSeed: 'slow' });
    const begun = new Promise<void>((started) => {
      slow.tool.run = () =>
        new Promise((resolve) => {
          release = () => {
            resolve({ kind: 'result', content: [], isError: false, notes: [] });
          };
          started();
        });
    });
    const same = { toolCallId: 'call_slow' };
    const running = slow.call('note', {}, same);
    await begun;
    const other = createRig({ store: slow.store, clock: slow.clock, instance: 'inst_o', idSeed: 'o' });
    expect((await other.call('note', {}, same)).status).toBe('unknown');
    release();
    expect((await running).status).toBe('unknown');
    expect((await other.call('note', {}, same)).status).toBe('unknown');
    const finished = (await slow.records()).filter((one) => one.header.type === 'call_finished');
    expect(finished).toHaveLength(1);
  });
});

describe('on record, whatever happens', () => {
  test('a call that joins a waiting approval is on record like the one that opened it', async () => {
    const rig = createRig();
    await rig.call('pay', {}, { toolCallId: 'call_1' });
    await rig.call('pay', {}, { toolCallId: 'call_2' });
    const first = await rig.store.row('request', 'local', 'call_1');
    const approvalId = first?.body.approval_id;
    const joined = { status: 'waiting_approval', body: { approval_id: approvalId } };
    expect(await rig.store.row('request', 'local', 'call_2')).toMatchObject(joined);
    expect((await rig.records()).map((one) => one.header.type)).toEqual(['call_waiting', 'call_waiting']);
    // Asked again it is on record already.
    await rig.call('pay', {}, { toolCallId: 'call_2' });
    expect(await rig.records()).toHaveLength(2);
  });

  test('a call whose approval expired is on record as waiting for the one it joins instead', async () => {
    const rig = createRig();
    await rig.call('pay', {}, { toolCallId: 'call_1' });
    rig.clock.advance(900_000);
    await rig.call('pay', {}, { toolCallId: 'call_2' });
    await rig.call('pay', {}, { toolCallId: 'call_1' });
    const rows = await Promise.all(['call_1', 'call_2'].map((id) => rig.store.row('request', 'local', id)));
    expect(rows[0]?.body.approval_id).toBe(rows[1]?.body.approval_id);
    expect(await rig.records()).toHaveLength(3);
  });

  test('an earlier run that cannot be settled ends in an error that says to try again', async () => {
    const lost = { toolCallId: 'call_lost' };
    const dying = createRig({
      instance: 'inst_dead',
      wrapStore: (store) => ({
        ...store,
        commit: (commit) =>
          commit.appends?.[0]?.type === 'call_finished'
            ? Promise.reject(new Error('gone'))
            : store.commit(commit),
      }),
    });
    expect((await dying.call('note', {}, lost)).status).toBe('unknown');
    let refused = 0;
    const rig = createRig({
      store: dying.store,
      clock: dying.clock,
      idSeed: 'next',
      wrapStore: (store) => ({
        ...store,
        commit: () => {
          refused += 1;
          return Promise.resolve({ ok: false, refused: 'row', kind: 'request', id: 'x', version: 9 });
        },
      }),
    });
    await expect(rig.call('note', {}, lost)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
    });
    expect(refused).toBeGreaterThan(1);
    expect(refused).toBeLessThan(20);
    expect(rig.effects).toHaveLength(0);
  });

  test('an exception on the way to the decision is a recorded deny', async () => {
    const bug = (): never => {
      throw new TypeError(`unreadable ${CANARY}`);
    };
    const directory = createRig();
    directory.pins.get = bug;
    const schema = createRig({
      wrapGate: (gate) => ({ ...gate, prepare: () => Promise.reject(new Error('bug')) }),
    });
    const history = createRig({
      config: sampleConfig({ policy: { loopBudget: { maxCalls: 9 } } }),
      wrapStore: (store) => ({
        ...store,
        counters: (keys) => (keys.some((key) => key.endsWith('|calls')) ? bug() : store.counters(keys)),
      }),
    });
    for (const rig of [directory, schema, history]) {
      expect(await rig.call('note', {}, { toolCallId: 'call_bug' })).toMatchObject({
        status: 'denied',
        decision: { ruleId: 'kernel_error' },
      });
      expect((await rig.records()).map((one) => one.header.type)).toEqual(['call_denied']);
      expect(await rig.store.row('request', 'local', 'call_bug')).toMatchObject({ status: 'denied' });
      expect(await checks.readable(rig)).not.toContain(CANARY);
      expect(rig.effects).toHaveLength(0);
      // What would be decided is the same answer, without a record.
      expect(await rig.kernel.preview(rig.request('note', {}))).toMatchObject({ ruleId: 'kernel_error' });
    }
  });

  test('a store that is out is told as what it is', async () => {
    const rig = createRig({
      wrapStore: (store) => ({
        ...store,
        counters: (keys) =>
          keys.some((key) => key.includes('|rep|'))
            ? Promise.reject(new RuntimeError('STORE_UNAVAILABLE'))
            : store.counters(keys),
      }),
    });
    await expect(rig.call('note', {})).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});
