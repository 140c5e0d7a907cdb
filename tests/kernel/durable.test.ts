// Owns the proof of what the kernel keeps across the end of its process: approvals, answers, keys, signs of life.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import type { Delivery } from '../../src/kernel/approvals/approval.ts';
import type { CallRequest, CallResult } from '../../src/kernel/call.ts';
import { startInstance } from '../../src/kernel/instance.ts';
import type { Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { load, swap } from '../config/fixture.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, CALLER, createRig, expectStatus, OK, PERSON, sessionOf } from './rig.ts';
import type { Rig, RigOptions } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

/** One life of a process after another over the same file and clock. */
function lives(): (options?: RigOptions) => Promise<Rig> {
  const dir = mkdtempSync(join(tmpdir(), 'arp-lives-'));
  const [keys, clock] = [memoryTenantKeys(), createFakeClock()];
  let open: Store | undefined;
  let life = 0;
  onTestFinished(async () => {
    await open?.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return async (options = {}) => {
    await open?.close();
    open = await openSqliteStore({
      path: join(dir, 'state', 'runtime.db'),
      keys,
      clock: systemClock,
      ids: randomIds,
    });
    life += 1;
    return createRig({ store: open, clock, idSeed: `life${life}`, instance: `inst_${life}`, ...options });
  };
}

describe('after a restart', () => {
  verifies(
    ['AP-04'],
    'waiting approvals are there, listed by status, and answered by whoever runs now',
    async () => {
      const next = lives();
      const first = await next();
      const [a, b] = [await first.call('pay', { n: 1 }), await first.call('pay', { n: 2 })];
      const ids = [a, b].map((one) => expectStatus(one, 'waiting_approval').approval.subject.approvalId);
      const list = async (rig: Rig, status: string): Promise<string[]> => {
        const page = await rig.store.list({ kind: 'approval', tenant: 'local', status, limit: 10 });
        return page.items.map((one) => one.id).sort();
      };
      const second = await next();
      expect(await list(second, 'pending')).toEqual([...ids].sort());
      await second.kernel.deliver(PERSON, ids[0] ?? '', APPROVE, CALLER.actor);
      const third = await next();
      expect(await list(third, 'pending')).toEqual([ids[1]]);
      expect(await list(third, 'approved')).toEqual([ids[0]]);
      expect((await third.call('pay', { n: 1 })).status).toBe('done');
      expect((await third.call('pay', { n: 2 })).status).toBe('waiting_approval');
      expect(await list(third, 'consumed')).toEqual([ids[0]]);
      expect(third.effects.map((one) => one.args)).toEqual([{ n: 1 }]);
    },
  );

  verifies(
    ['AP-02'],
    'an answer is there with who, when, how and why, and a refusal resumes nothing',
    async () => {
      const next = lives();
      const first = await next();
      const id = expectStatus(await first.call('pay', {}), 'waiting_approval').approval.subject.approvalId;
      first.clock.advance(5000);
      const at = first.clock.now();
      const no: Delivery = { kind: 'answered', decision: 'reject', latencyMs: 4000, note: 'not this month' };
      await first.kernel.deliver(PERSON, id, no, CALLER.actor);
      const second = await next();
      expect(await second.kernel.approvalFor('local', id)).toMatchObject({
        state: 'rejected',
        by: { principal: 'os:1000', attestation: 'client', channel: 'elicitation' },
        answeredAt: at,
        note: 'not this month',
        deliveries: [{ actor: CALLER.actor, at, delivery: { decision: 'reject' } }],
      });
      expect((await second.call('pay', {})).status).toBe('denied');
      expect((await second.kernel.deliver(PERSON, id, APPROVE)).moved).toBe(false);
      const types = (await second.records()).map((one) => one.header.type);
      expect(types).toEqual(['call_waiting', 'call_denied']);
      expect(second.effects).toHaveLength(0);
    },
  );

  verifies(['RF-14'], 'a key still answers execute, replay, wait, conflict or reconcile', async () => {
    const next = lives();
    const first = await next({
      wrapStore: (store) => ({
        ...store,
        commit: (commit) =>
          JSON.stringify(commit.rows ?? []).includes('"status":"done"') &&
          JSON.stringify(commit.appends ?? []).includes('hangs')
            ? Promise.reject(new Error('process ended here'))
            : store.commit(commit),
      }),
    });
    const call = (rig: Rig, key: string, title = 'a') => rig.call('ticket', { key, title });
    expect(await call(first, 'k')).toMatchObject({ status: 'done', outcome: { replayed: false } }); // execute
    first.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text: 'hangs' }] });
    expect((await call(first, 'cut')).status).toBe('unknown');
    first.tool.run = () =>
      Promise.resolve({
        kind: 'failed',
        code: 'DOWNSTREAM_UNAVAILABLE',
        message: '',
        sideEffect: 'side_effect_unknown',
        notes: [],
      });
    expect((await call(first, 'lost')).status).toBe('unknown');
    const second = await next({ isAlive: (name) => Promise.resolve(name === 'inst_1') });
    expect(await call(second, 'k')).toMatchObject({ status: 'done', outcome: { replayed: true } }); // replay
    expect(await call(second, 'k', 'b')).toMatchObject({ error: { code: 'IDEMPOTENCY_CONFLICT' } }); // conflict
    expect(await call(second, 'cut')).toMatchObject({ status: 'tool_error', error: { code: 'CONFLICT' } }); // wait
    expect((await call(second, 'lost')).status).toBe('unknown'); // reconcile
    const third = await next();
    expect((await call(third, 'cut')).status).toBe('unknown'); // its process is gone: reconcile
    third.clock.advance(24 * 60 * 60 * 1000);
    expect(await call(third, 'k')).toMatchObject({ outcome: { replayed: false } });
    expect([first, second, third].map((one) => one.effects.length)).toEqual([3, 0, 1]);
  });
});

describe('the cycle rule after a restart', () => {
  verifies(
    ['PO-14'],
    'the fourth identical call of a session is denied, whichever process ran the three before it',
    async () => {
      const { policy } = await load({ 'policy.yaml': swap('    max_repeats: 3\n', '') });
      expect(policy.cycle.maxRepeats).toBe(3);
      const config = sampleConfig({ policy: { cycle: policy.cycle } });
      const next = lives();
      const call = async (args: unknown, over?: Partial<CallRequest>): Promise<CallResult> =>
        (await next({ config })).call('look', args, over);
      const spellings = [
        { of: { a: 1, b: [2] }, at: 'x' },
        { at: 'x', of: { b: [2], a: 1 } },
      ];
      for (const args of [...spellings, { at: 'x', of: { a: 1, b: [2] } }]) {
        expect((await call(args)).status).toBe('done');
      }
      const last = await next({ config });
      const fourth = await last.call('look', { of: { b: [2], a: 1 }, at: 'x' });
      expect(expectStatus(fourth, 'denied').decision).toMatchObject({
        verdict: 'deny',
        ruleId: 'cycle_detection',
        layer: 'session',
        attributes: { 'policy.repeats': 3, 'policy.max_repeats': 3 },
      });
      expect(last.effects).toHaveLength(0);
      const kept = (await last.records()).at(-1);
      expect(kept?.header.type).toBe('call_denied');
      expect(kept?.evidence).toMatchObject({ value: { decision: 'deny', rule_id: 'cycle_detection' } });
      for (const again of spellings) expect((await call(again)).status).toBe('denied');
      const others = [
        await call({ at: 'x', of: { a: 1, b: ['2'] } }),
        await call({ at: 'y', of: { a: 1, b: [2] } }),
        await call(spellings[0], { session: sessionOf(last.clock, { id: 'ses_other' }) }),
        await (await next({ config })).call('note', spellings[0]),
      ];
      expect(others.map((one) => one.status)).toEqual(['done', 'done', 'done', 'done']);
    },
  );
});

describe('signs of life', () => {
  test('a process is alive while it renews, gone a lease later, and asking does not end it', async () => {
    const [store, clock] = [createMemoryStore(), createFakeClock()];
    const one = await startInstance({ store, clock, id: 'one', leaseMs: 9000 });
    const two = await startInstance({ store, clock, id: 'two', leaseMs: 9000 });
    for (let n = 0; n < 10; n++) {
      clock.advance(3000);
      await new Promise((resolve) => setImmediate(resolve)); // lets the renewals through
      expect([await one.isAlive('two'), await two.isAlive('one')]).toEqual([true, true]);
    }
    expect(await one.isAlive('never-was')).toBe(false);
    await two.stop();
    expect(await one.isAlive('two')).toBe(false);
    clock.advance(60_000);
    expect(await one.isAlive('one')).toBe(true);
    await one.stop();
    expect(clock.pending).toBe(0);
  });

  test('what follows a renewal holds up none of those after it, and goes one at a time', async () => {
    const [store, clock] = [createMemoryStore(), createFakeClock()];
    const passes = async (): Promise<void> => {
      clock.advance(3000);
      await new Promise((resolve) => setImmediate(resolve));
    };
    let begun = 0;
    let end = (): void => undefined;
    const renewed = (): Promise<void> => {
      begun += 1;
      return new Promise((resolve) => {
        end = resolve;
      });
    };
    const busy = await startInstance({ store, clock, id: 'busy', leaseMs: 9000, renewed });
    const other = await startInstance({ store, clock, id: 'other', leaseMs: 9000 });
    for (let n = 0; n < 5; n++) await passes();
    expect([await other.isAlive('busy'), begun]).toEqual([true, 1]);
    end();
    for (let n = 0; n < 2; n++) await passes();
    expect(begun).toBe(2);
    await busy.stop();
    await other.stop();
  });

  test('nothing follows a renewal that did not go in, and what is thrown is told', async () => {
    const [inner, clock] = [createMemoryStore(), createFakeClock()];
    let isBroken = false;
    const store: Store = {
      ...inner,
      claim: (...lease) => (isBroken ? Promise.reject(new Error('disk full')) : inner.claim(...lease)),
    };
    const told: unknown[] = [];
    let renewals = 0;
    const one = await startInstance({
      ...{ store, clock, id: 'one', leaseMs: 9000 },
      renewed: () => {
        renewals += 1;
        return Promise.resolve();
      },
      failed: (thrown) => told.push(String(thrown)),
    });
    const pass = async (): Promise<void> => {
      clock.advance(3000);
      await new Promise((resolve) => setImmediate(resolve));
    };
    clock.setWall(clock.now() + 10_000);
    const taken = await inner.claim('instance/one', 'somebody', clock.now(), 60_000);
    await pass();
    expect([taken.ok, renewals]).toEqual([true, 0]);
    isBroken = true;
    await pass();
    expect([told, renewals]).toEqual([['Error: disk full'], 0]);
    [isBroken] = [false];
    if (taken.ok) await inner.release(taken.lease);
    await pass();
    expect(renewals).toBe(1);
    await one.stop();
  });

  test('a process that was late with its sign of life is alive again after the next', async () => {
    const [store, clock] = [createMemoryStore(), createFakeClock()];
    const slow = await startInstance({ store, clock, id: 'slow', leaseMs: 9000 });
    const other = await startInstance({ store, clock, id: 'other', leaseMs: 9000 });
    clock.setWall(clock.now() + 10_000);
    expect(await other.isAlive('slow')).toBe(false);
    clock.advance(3000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await other.isAlive('slow')).toBe(true);
    await slow.stop();
    await other.stop();
  });
});
