import { describe, expect, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import { createDefaultSessions } from '../../src/pack/sessions/default-sessions.ts';
import type { DefaultSessions } from '../../src/pack/sessions/default-sessions.ts';
import { CALLER, createPackRig } from './rig.ts';
import type { Rig } from './rig.ts';

// More would be held than a process of ten thousand principals should hold.
const MOST = 1_024;

function who(n: number, over: Partial<Caller> = {}): Caller {
  return { ...CALLER, principal: `principal-${n}`, actor: `http:client-${n}`, ...over };
}

function defaults(rig: Rig, instance = 'inst_pack'): DefaultSessions {
  const { config, store, kernel, clock, model } = rig;
  const isAlive = (): Promise<boolean> => Promise.resolve(true);
  return createDefaultSessions({
    ...{ config, store, kernel, clock, model: () => model, ids: randomIds, instance, isAlive },
  });
}

async function idOf(sessions: DefaultSessions, caller: Caller): Promise<string> {
  return (await sessions.directCall(caller)).session.id;
}

/** Calls of so many others that whoever called before is not in memory any more. */
async function crowd(sessions: DefaultSessions): Promise<void> {
  for (let n = 1; n <= MOST; n++) await sessions.directCall(who(n, { lane: 'crowd' }));
}

function sessionsStarted(rig: Rig): number {
  return rig.counted.commits.flatMap(({ appends = [] }) => appends).length;
}

describe('default sessions', () => {
  test('of ten thousand principals memory holds a part, and each keeps its own', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    const first: string[] = [];
    let most = 0;
    for (let n = 0; n < 10_000; n++) {
      first.push(await idOf(sessions, who(n)));
      most = Math.max(most, sessions.held);
    }
    expect(new Set(first).size).toBe(10_000);
    expect(most).toBe(MOST);
    for (let n = 0; n < 10_000; n += 7) expect(await idOf(sessions, who(n))).toBe(first[n]);
    expect(sessions.held).toBe(MOST);
    expect(sessionsStarted(rig)).toBe(10_000);
  });

  test('whoever calls often stays, whoever else comes', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    const id = await idOf(sessions, CALLER);
    for (let n = 0; n < 2 * MOST; n++) {
      await sessions.directCall(who(n));
      await sessions.directCall(CALLER);
    }
    expect(await idOf(sessions, CALLER)).toBe(id);
    // One look for each that came after the first was dropped, and none for whom memory kept.
    expect(rig.counted.reads.calls).toBe(MOST);
  });

  test('while memory holds all of them, the store is asked nothing', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    for (let n = 0; n < MOST; n++) await sessions.directCall(who(n));
    await sessions.directView(who(MOST));
    expect(rig.counted.reads.calls).toBe(0);
  });

  test('one that was dropped is the same in all its facts, also for calls that come together and for a look', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    const before = await sessions.directCall(CALLER);
    await crowd(sessions);
    const started = sessionsStarted(rig);
    expect((await sessions.directView(CALLER)).session).toEqual(before.session);
    const [one, other] = await Promise.all([sessions.directCall(CALLER), sessions.directCall(CALLER)]);
    expect([one.session, other.session]).toEqual([before.session, before.session]);
    expect(one.context.runId).not.toBe(other.context.runId);
    expect(sessionsStarted(rig)).toBe(started);
  });

  test('each tenant, principal, client, lane and process has its own, dropped or not', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    const callers = [
      CALLER,
      { ...CALLER, tenant: 'other' },
      { ...CALLER, principal: 'other' },
      { ...CALLER, actor: 'other' },
      { ...CALLER, lane: 'other' },
    ];
    const ids = await Promise.all(callers.map((caller) => idOf(sessions, caller)));
    await crowd(sessions);
    expect(await Promise.all(callers.map((caller) => idOf(sessions, caller)))).toEqual(ids);
    const second = defaults(rig, 'inst_other');
    await second.directCall(who(0));
    await crowd(second);
    ids.push(...(await Promise.all(callers.map((caller) => idOf(second, caller)))));
    expect(new Set(ids).size).toBe(10);
  });

  test('one that was dropped and has been idle has a linked successor, begun by a call and not by a look', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    const before = await idOf(sessions, CALLER);
    await crowd(sessions);
    rig.clock.advance(31 * 60_000);
    expect((await sessions.directView(CALLER)).session.id).not.toBe(before);
    const after = await idOf(sessions, CALLER);
    const [started] = await rig.records(after);
    expect(started?.evidence).toMatchObject({ value: { predecessor_id: before } });
    await crowd(sessions);
    expect(await idOf(sessions, CALLER)).toBe(after);
  });

  test('one whose time is over has a successor, however often it is used', async () => {
    const rig = createPackRig();
    rig.config.policy.loopBudget.maxWallSeconds = 30;
    rig.config.policy.cycle.windowSeconds = 60;
    const sessions = defaults(rig);
    const id = await idOf(sessions, CALLER);
    rig.clock.advance(59_999);
    expect(await idOf(sessions, CALLER)).toBe(id);
    rig.clock.advance(1);
    expect((await sessions.directView(CALLER)).session.id).not.toBe(id);
    expect(await idOf(sessions, CALLER)).not.toBe(id);
  });

  test('one that was dropped counts from its records: its last use and its length', async () => {
    const rig = createPackRig();
    const sessions = defaults(rig);
    const id = await idOf(sessions, CALLER);
    rig.clock.advance(29 * 60_000);
    const append = {
      chain: { tenant: CALLER.tenant, aggregate: 'session' as const, id },
      when: { epoch: 0 },
      type: 'call_started',
      at: rig.clock.now(),
      evidence: {},
    };
    await rig.store.commit({ appends: [append] });
    await crowd(sessions);
    rig.clock.advance(29 * 60_000);
    expect(await idOf(sessions, CALLER)).toBe(id);
    await rig.store.commit({
      appends: Array.from({ length: 9_900 }, () => ({ ...append, at: rig.clock.now() })),
    });
    await crowd(sessions);
    expect(await idOf(sessions, CALLER)).not.toBe(id);
  });

  test('while the store does not answer, one that was dropped is not begun anew', async () => {
    const rig = createPackRig();
    const { row } = rig.store;
    const sessions = defaults(rig);
    const id = await idOf(sessions, CALLER);
    await crowd(sessions);
    rig.store.row = () => Promise.reject(new RuntimeError('STORE_UNAVAILABLE'));
    await expect(sessions.directCall(CALLER)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    rig.store.row = row;
    expect(await idOf(sessions, CALLER)).toBe(id);
  });
});
