// The safety promises of the door as callable checks. Each takes the maker of its rigs, so that the same check that is
// green on the kernel can be shown to be red on a kernel with a planted bug.
import { expect } from 'vitest';
import type { Delivery } from '../../src/kernel/approvals/approval.ts';
import type { CallResult } from '../../src/kernel/call.ts';
import type { Store } from '../../src/store/contract.ts';
import { capability, note, pay, sampleConfig } from '../kernel/sample-config.ts';
import { APPROVE, approved, CALLER, CANARY, expectStatus, OK, PERSON, SESSION } from '../kernel/rig.ts';
import type { MakeRig, Rig } from '../kernel/rig.ts';
import { doorChecks } from './door-checks.ts';

export type Check = (make: MakeRig) => Promise<void>;

const LOCAL = { tenant: 'local', aggregate: 'session', id: SESSION } as const;

/** Rejections are answers too: a call that is refused by throwing has no effect. */
function statuses(settled: PromiseSettledResult<CallResult>[]): string[] {
  return settled.map((one) => (one.status === 'fulfilled' ? one.value.status : 'rejected'));
}

export const denyHasNoEffect: Check = async (make) => {
  const registry = { allowed: ['look', 'pay'], denied: ['note'] };
  const rig = make({ config: sampleConfig({ policy: { registry } }) });
  expect((await rig.call('note', {})).status).toBe('denied');
  expect((await rig.call('ticket', { key: 'k' })).status).toBe('denied');
  expect((await rig.call('forbidden', {})).status).toBe('denied');
  expect((await rig.call('never-heard-of', {})).status).toBe('denied');
  expect(rig.effects).toHaveLength(0);
};

/** The tool itself reads its start receipt from the store at the moment it runs. */
export const startIsDurableBeforeEffect: Check = async (make) => {
  const rig = make();
  const seen: string[][] = [];
  rig.tool.run = async () => {
    seen.push((await rig.store.read(LOCAL)).map((one) => one.header.type));
    return OK;
  };
  await rig.call('note', { text: 'a' });
  expect(seen).toEqual([['call_started']]);
};

function refusing(store: Store, type: string): Store {
  return {
    ...store,
    commit: (commit) =>
      commit.appends?.some((one) => one.type === type) === true
        ? Promise.reject(new Error('disk full'))
        : store.commit(commit),
  };
}

export const noRecordNoEffect: Check = async (make) => {
  const rig = make({ wrapStore: (store) => refusing(store, 'call_started') });
  await expect(rig.call('note', {})).rejects.toThrow();
  expect(rig.effects).toHaveLength(0);
};

/** One approval, three tries: one run. The later ones ask anew. */
export const approvalRunsOnce: Check = async (make) => {
  const rig = make();
  await approved(rig, 'pay', { amount: 5 });
  const after: string[] = [];
  for (let n = 0; n < 3; n++) after.push((await rig.call('pay', { amount: 5 })).status);
  expect(after).toEqual(['done', 'waiting_approval', 'waiting_approval']);
  expect(rig.effects).toHaveLength(1);
};

/** Two processes' kernels over one store, both with the approved call in hand. */
export const racingConsumersRunOnce: Check = async (make) => {
  const one = make({ instance: 'inst_1', idSeed: 'one' });
  const two = make({
    instance: 'inst_2',
    idSeed: 'two',
    store: one.store,
    clock: one.clock,
    isAlive: () => Promise.resolve(true),
  });
  // The first run of a call opens its cycle window, which lets one through at a time: the race is about the second.
  await approved(one, 'pay', { amount: 5 });
  await one.call('pay', { amount: 5 });
  await approved(one, 'pay', { amount: 5 });
  const runs = await Promise.allSettled([
    ...Array.from({ length: 3 }, () => one.call('pay', { amount: 5 })),
    ...Array.from({ length: 3 }, () => two.call('pay', { amount: 5 })),
  ]);
  expect(statuses(runs).filter((status) => status === 'done')).toHaveLength(1);
  expect(one.effects.length + two.effects.length).toBe(2);
};

export const sameCallIdRunsOnce: Check = async (make) => {
  const one = make({ instance: 'inst_1', idSeed: 'one', isAlive: () => Promise.resolve(true) });
  const two = make({
    instance: 'inst_2',
    idSeed: 'two',
    store: one.store,
    clock: one.clock,
    isAlive: () => Promise.resolve(true),
  });
  await one.call('note', { text: 'a' }); // opens the cycle window, which would let one through at a time
  const same = { toolCallId: 'call_same' };
  const answers = await Promise.allSettled([
    one.call('note', { text: 'a' }, same),
    one.call('note', { text: 'a' }, same),
    two.call('note', { text: 'a' }, same),
  ]);
  expect(one.effects.length + two.effects.length).toBe(2);
  expect(statuses(answers).slice(0, 2)).not.toContain('unknown');
};

export const atMostOneOpenApproval: Check = async (make) => {
  const rig = make();
  const calls = await Promise.all(Array.from({ length: 100 }, () => rig.call('pay', { amount: 7 })));
  const ids = new Set(calls.map((one) => expectStatus(one, 'waiting_approval').approval.subject.approvalId));
  expect(ids.size).toBe(1);
  const rows = await rig.store.list({ kind: 'approval', tenant: 'local', limit: 200 });
  expect(rows.items).toHaveLength(1);
  expect(rig.effects).toHaveLength(0);
};

/** A freeze that is committed while a call is being decided stops that call's start, which is then decided again. */
export const freezeBetweenIsSeen: Check = async (make) => {
  const commits: string[] = [];
  let frozen = false;
  const rig = make({
    wrapStore: (store) => ({
      ...store,
      async commit(commit) {
        const started = commit.appends?.some((one) => one.type === 'call_started') === true;
        if (started && !frozen) {
          frozen = true;
          await store.commit({ counters: [{ key: 'local|controls', add: 1 }] });
        }
        const done = await store.commit(commit);
        if (started) commits.push(done.ok ? 'ok' : done.refused);
        return done;
      },
    }),
  });
  await rig.call('note', {});
  expect(commits).toEqual(['guard', 'ok']);
};

export const cycleHoldsInParallel: Check = async (make) => {
  const rig = make();
  const calls = await Promise.allSettled(Array.from({ length: 50 }, () => rig.call('look', { q: 1 })));
  expect(rig.effects.length).toBeLessThanOrEqual(3);
  expect(statuses(calls).filter((status) => status === 'done')).toHaveLength(3);
};

export const budgetHoldsInParallel: Check = async (make) => {
  const rig = make({ config: sampleConfig({ policy: { loopBudget: { maxCalls: 10, maxEffects: 4 } } }) });
  const calls = await Promise.all(Array.from({ length: 40 }, (_, n) => rig.call('note', { n })));
  expect(rig.effects).toHaveLength(4);
  expect(calls.filter((one) => one.status === 'denied').map((one) => one.decision.ruleId)).toEqual(
    Array.from({ length: 36 }, () => 'loop_budget'),
  );
};

/** Both clocks: an unanswered approval cannot be answered late, an unused one cannot be used late. */
export const expiryHolds: Check = async (make) => {
  const late = make();
  const waiting = expectStatus(await late.call('pay', { amount: 1 }), 'waiting_approval');
  late.clock.advance(900_000);
  const answer = await late.kernel.deliver(PERSON, waiting.approval.subject.approvalId, APPROVE);
  expect(answer.approval.state).toBe('expired');
  expect((await late.call('pay', { amount: 1 })).status).toBe('waiting_approval');

  const unused = make();
  await approved(unused, 'pay', { amount: 2 });
  unused.clock.advance(300_000);
  expect((await unused.call('pay', { amount: 2 })).status).toBe('waiting_approval');
  unused.clock.setWall(Date.UTC(2026, 0, 1)); // a clock set back revives nothing
  expect((await unused.call('pay', { amount: 2 })).status).toBe('waiting_approval');
  expect(late.effects.length + unused.effects.length).toBe(0);
};

export const otherArgumentsAskAnew: Check = async (make) => {
  const rig = make();
  await approved(rig, 'pay', { amount: 5, to: 'a' });
  for (const args of [
    { amount: 50, to: 'a' },
    { amount: 5, to: 'b' },
    { amount: 5 },
    { amount: '5', to: 'a' },
  ]) {
    expect((await rig.call('pay', args)).status).toBe('waiting_approval');
  }
  expect(rig.effects).toHaveLength(0);
};

const NO_ANSWERS: readonly Delivery[] = [
  { kind: 'declined_by_client', latencyMs: 3000 },
  { kind: 'not_shown', why: 'canceled', latencyMs: 3000 },
  { kind: 'not_shown', why: 'error', latencyMs: 3000 },
  { kind: 'not_shown', why: 'malformed', latencyMs: 3000 },
  { kind: 'not_shown', why: 'no_capability', latencyMs: 0 },
  { kind: 'timed_out', latencyMs: 25_000 },
  { kind: 'withdrawn', latencyMs: 10 },
];

export const onlyAnAnswerMoves: Check = async (make) => {
  for (const [n, delivery] of NO_ANSWERS.entries()) {
    const rig = make();
    const first = expectStatus(await rig.call('pay', { n }), 'waiting_approval');
    expect(first.askable).toBe(true);
    await rig.kernel.deliver(PERSON, first.approval.subject.approvalId, delivery, CALLER.actor);
    const again = expectStatus(await rig.call('pay', { n }), 'waiting_approval');
    expect(again.approval.subject.approvalId).toBe(first.approval.subject.approvalId);
    expect(again.askable).toBe(false);
    expect(rig.effects).toHaveLength(0);
  }
};

async function everyRow(rig: Rig): Promise<unknown[]> {
  const kinds = ['request', 'approval', 'idempotency', 'session', 'item', 'run'] as const;
  const pages = await Promise.all(kinds.map((kind) => rig.store.list({ kind, tenant: 'local', limit: 200 })));
  return pages.flatMap((page) => page.items);
}

/** All that can be read without a key: evidence, record texts, rows. */
export async function readable(rig: Rig): Promise<string> {
  const records = await rig.store.scan({ limit: 1000 });
  return JSON.stringify([records, await everyRow(rig)]);
}

export const secretsStaySealed: Check = async (make) => {
  const rig = make();
  const args = { text: `before ${CANARY} after`, list: [{ deep: CANARY }], [`key-${CANARY}`]: 1 };
  await approved(rig, 'pay', args);
  rig.tool.run = () =>
    Promise.resolve({ ...OK, content: [{ type: 'text', text: `got ${CANARY}` }], notes: [`note ${CANARY}`] });
  const done = expectStatus(await rig.call('pay', args), 'done');
  expect(done.outcome.content[0]?.text).toBe(`got ${CANARY}`);
  expect(rig.effects[0]?.args).toEqual(args);
  expect(await readable(rig)).not.toContain(CANARY);
  const start = (await rig.records()).find((one) => one.header.type === 'call_started');
  expect(await rig.store.unseal(LOCAL, start?.header.seq ?? 0)).toMatchObject({ value: { args } });
};

/** A write that may have left is unknown, and the same call is never run again. */
export const unknownIsNeverRepeated: Check = async (make) => {
  const rig = make({ config: sampleConfig({ capabilities: [note, pay, capability('look')] }) });
  rig.tool.run = () =>
    Promise.resolve({
      kind: 'failed',
      code: 'DOWNSTREAM_UNAVAILABLE',
      message: 'gone',
      sideEffect: 'side_effect_unknown',
      notes: [],
    });
  const same = { toolCallId: 'call_lost' };
  for (let n = 0; n < 3; n++) expect((await rig.call('note', {}, same)).status).toBe('unknown');
  expect(rig.effects).toHaveLength(1);
};

/** A call that a living process runs is left alone; one of a dead process is unknown, recorded once. */
export const orphansAreSettledOnce: Check = async (make) => {
  const dying = make({
    instance: 'inst_dead',
    idSeed: 'dead',
    wrapStore: (store) => refusing(store, 'call_finished'),
  });
  const same = { toolCallId: 'call_orphan' };
  expect((await dying.call('note', {}, same)).status).toBe('unknown');
  const over = { store: dying.store, clock: dying.clock };
  const alive = make({ ...over, instance: 'inst_a', idSeed: 'a', isAlive: () => Promise.resolve(true) });
  await expect(alive.call('note', {}, same)).rejects.toMatchObject({ code: 'CONFLICT' });
  const [b, c] = ['b', 'c'].map((name) => make({ ...over, instance: `inst_${name}`, idSeed: name }));
  if (b === undefined || c === undefined) throw new Error('no rigs');
  const both = await Promise.all([b.call('note', {}, same), c.call('note', {}, same)]);
  expect(both.map((one) => one.status)).toEqual(['unknown', 'unknown']);
  const finished = (await dying.records()).filter((one) => one.header.type === 'call_finished');
  expect(finished).toHaveLength(1);
  expect(finished[0]?.evidence).toMatchObject({ value: { side_effect_status: 'side_effect_unknown' } });
  expect(alive.effects.length + b.effects.length + c.effects.length).toBe(0);
  expect(dying.effects).toHaveLength(1);
};

export const idempotentKeyHasOneEffect: Check = async (make) => {
  const rig = make();
  const args = { key: 'k-1', title: 'broken door' };
  const first = expectStatus(await rig.call('ticket', args), 'done');
  const again = expectStatus(await rig.call('ticket', args), 'done');
  expect([first.outcome.replayed, again.outcome.replayed]).toEqual([false, true]);
  expect(again.outcome.content).toEqual(first.outcome.content);
  await rig.call('note', { n: 1 }); // opens the cycle window, which would let one through at a time
  const parallel = await Promise.all(
    Array.from({ length: 8 }, () => rig.call('note', { n: 1 }, { idempotencyKey: 'k-2' })),
  );
  expect(parallel.filter((one) => one.status === 'done')).not.toHaveLength(0);
  expect(rig.effects).toHaveLength(3);
};

export const everyCheck: Readonly<Record<string, Check>> = {
  denyHasNoEffect,
  startIsDurableBeforeEffect,
  noRecordNoEffect,
  approvalRunsOnce,
  racingConsumersRunOnce,
  sameCallIdRunsOnce,
  atMostOneOpenApproval,
  freezeBetweenIsSeen,
  cycleHoldsInParallel,
  budgetHoldsInParallel,
  expiryHolds,
  otherArgumentsAskAnew,
  onlyAnAnswerMoves,
  secretsStaySealed,
  unknownIsNeverRepeated,
  orphansAreSettledOnce,
  idempotentKeyHasOneEffect,
  ...doorChecks,
};
