import { describe, expect, test } from 'vitest';
import { factsToEvidence } from '../../src/pack/sessions/session-events.ts';
import { createSessions } from '../../src/pack/sessions/sessions.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, createPackRig, governed, rigConfig, user } from './rig.ts';
import type { Rig } from './rig.ts';

const HI = { messages: [user('hi')] };

function longConfig(): ReturnType<typeof rigConfig> {
  const config = rigConfig();
  return {
    ...config,
    limits: { maxTurnsPerSession: 2_000, maxToolCallsPerSession: 2_000, maxInputBytes: 10_000_000 },
  };
}

/** A session with every kind of step in it. */
async function livedSession(rig: Rig): Promise<string> {
  rig.model.next(asks('look', { n: 1 }), asks('pay', { n: 2 }), asks('none'), new TypeError('down'));
  const first = await rig.ok(HI);
  await rig.run(first);
  const second = await rig.ok({ messages: [], session_id: first.session_id });
  await rig.run(second);
  await rig.ok({ messages: [], session_id: first.session_id });
  await rig.fails({ messages: [user('again')], session_id: first.session_id });
  rig.model.next(governed({ status: 'escalate', assistant_message: 'help' }));
  await rig.ok({ messages: [], session_id: first.session_id });
  return first.session_id;
}

describe('sessions', () => {
  test('what is held in memory is what the records fold to', async () => {
    const rig = createPackRig();
    const id = await livedSession(rig);
    const again = createPackRig({ store: rig.store, seed: 'other' });
    await rig.ok({ messages: [user('x')], session_id: id });
    const warm = rig.model.inputs.at(-1);
    await again.ok({ messages: [user('x')], session_id: id });
    const cold = again.model.inputs.at(-1);
    expect(cold?.messages.slice(0, warm?.messages.length)).toEqual(warm?.messages);
    expect(cold?.turnIndex).toBe((warm?.turnIndex ?? 0) + 1);
    const fresh = await createSessions(rig.store).load(CALLER, id);
    const other = createSessions(rig.store);
    await other.load(CALLER, id);
    await rig.ok({ messages: [user('y')], session_id: id });
    const caughtUp = await other.load(CALLER, id);
    expect(caughtUp.state).toEqual((await createSessions(rig.store).load(CALLER, id)).state);
    expect(caughtUp.state.seq).toBeGreaterThan(fresh.state.seq);
  });

  test('a foreign session and an unknown one answer alike', async () => {
    const rig = createPackRig();
    const { session_id } = await rig.ok(HI);
    const strangers = [
      { ...CALLER, principal: 'os:2000' },
      { ...CALLER, tenant: 'other' },
      { ...CALLER, principal: 'os:2000', roles: ['admin'] },
    ];
    for (const caller of strangers) {
      const foreign = await rig.fails({ ...HI, session_id }, { caller });
      const unknown = await rig.fails({ ...HI, session_id: 'ses_x' }, { caller });
      expect(foreign.error.message).toBe(`Session not found: ${session_id}`);
      expect({ ...foreign.error, message: '' }).toEqual({ ...unknown.error, message: '' });
      const handle = { session_id, tool_call_id: 'call_x' };
      await expect(rig.pack.requestedCall(caller, handle)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    expect((await rig.records(session_id)).every((one) => one.header.type !== 'turn_refused')).toBe(true);
  });

  test('sessions of one id in two tenants are two sessions', async () => {
    const rig = createPackRig();
    const { session_id: id } = await rig.ok(HI);
    const sessions = createSessions(rig.store);
    const { facts } = (await sessions.load(CALLER, id)).state;
    const theirs = { ...CALLER, tenant: 'other' };
    const chain = { tenant: 'other', aggregate: 'session', id } as const;
    const evidence = factsToEvidence({ ...facts, tenant: 'other' });
    await rig.store.commit({
      appends: [{ chain, when: { seq: 0 }, at: 0, type: 'session_started', evidence }],
    });
    for (const caller of [theirs, CALLER, theirs]) {
      const { state } = await sessions.load(caller, id);
      expect(state.facts.tenant).toBe(caller.tenant);
    }
  });

  test('of more sessions than memory holds, the one that was used least lately is read again', async () => {
    const rig = createPackRig();
    const { session_id } = await rig.ok(HI);
    const { facts } = (await createSessions(rig.store).load(CALLER, session_id)).state;
    const ids = Array.from({ length: 513 }, (_, index) => `ses_${index}`);
    for (const id of ids) {
      const chain = { tenant: 'local', aggregate: 'session', id } as const;
      const evidence = factsToEvidence({ ...facts, id });
      await rig.store.commit({
        appends: [{ chain, when: { seq: 0 }, at: 0, type: 'session_started', evidence }],
      });
    }
    const sessions = createSessions(rig.store);
    for (const id of ids.slice(0, 512)) await sessions.load(CALLER, id);
    for (const id of ['ses_0', 'ses_0', 'ses_512']) await sessions.load(CALLER, id);
    const before = rig.counted.reads.records;
    await sessions.load(CALLER, 'ses_0');
    expect(rig.counted.reads.records).toBe(before);
    await sessions.load(CALLER, 'ses_1');
    expect(rig.counted.reads.records).toBe(before + 1);
  });

  test('each session keeps the label that it was begun with, turn by turn', async () => {
    const rig = createPackRig();
    const begun: Record<string, string> = {};
    for (const intent of ['this', 'that']) begun[intent] = (await rig.ok({ ...HI, intent })).session_id;
    begun.default = (await rig.ok(HI)).session_id;
    for (const round of [1, 2]) {
      for (const [intent, session_id] of Object.entries(begun)) {
        expect(await rig.ok({ ...HI, session_id })).toMatchObject({ intent, turn_index: round });
      }
    }
  });

  test('what a list shows of a session and its run stands in one order', async () => {
    const rig = createPackRig();
    await rig.ok({ ...HI, external_run_id: 'x' });
    const rows = rig.counted.commits.flatMap((one) => one.rows ?? []).map(({ row }) => row);
    const keys = (kind: string): string[] =>
      rows.filter((row) => row.kind === kind).map(({ body }) => Object.keys(body).join(' '));
    const session =
      'run_id trace_id run_status turn_count tool_call_count last_turn_status started_at kind actor_id agent_id ' +
      'lane task_type limits authorization_mode delegated_principal_id delegated_scope';
    expect(keys('session')).toEqual([session, session]);
    const run =
      'run_id trace_id session_id task_type tenant_id principal_id actor_id agent_id authorization_mode ' +
      'delegated_principal_id delegated_scope external_run_id turn_index';
    expect(keys('run')).toEqual([run, `${run} last_turn_status`]);
  });

  test('one turn at a time: a second one is refused, in this process and from another', async () => {
    const rig = createPackRig();
    const { session_id } = await rig.ok(HI);
    let open: (() => void) | undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const { generate } = rig.model;
    rig.model.generate = async (...args) => {
      await gate;
      return generate(...args);
    };
    const slow = rig.turn({ ...HI, session_id });
    const other = createPackRig({
      store: rig.store,
      instance: 'inst_other',
      seed: 'other',
      clock: rig.clock,
    });
    while ((await rig.records(session_id)).length < 4) await Promise.resolve();
    expect((await rig.fails({ ...HI, session_id })).error.code).toBe('CONFLICT');
    expect((await other.fails({ ...HI, session_id })).error.code).toBe('CONFLICT');
    // After its deadline the other process takes over; the late answer is not part of the session.
    rig.clock.advance(120_000);
    expect((await other.ok({ ...HI, session_id })).turn_index).toBe(2);
    open?.();
    expect(await slow).toMatchObject({ error: { code: 'CONFLICT' } });
    const types = (await rig.records(session_id)).map((one) => one.header.type);
    expect(types.filter((type) => type === 'turn_completed')).toHaveLength(2);
  });

  test('the turn that begins a session holds it too: whoever finds it in a list is told that a turn is under way', async () => {
    const rig = createPackRig();
    const { generate } = rig.model;
    const found: unknown[] = [];
    rig.model.generate = async (...args) => {
      const { items } = await rig.store.list({ kind: 'session', tenant: 'local', limit: 10 });
      for (const { id } of items) found.push((await rig.fails({ ...HI, session_id: id })).error.code);
      return generate(...args);
    };
    const { session_id } = await rig.ok(HI);
    expect(found).toEqual(['CONFLICT']);
    rig.model.generate = generate;
    expect((await rig.ok({ ...HI, session_id })).turn_index).toBe(1);
  });

  test('a turn that goes on with a run leaves the rows to its outcome, unless they said otherwise', async () => {
    const rig = createPackRig();
    const kinds = (at: number): string[] =>
      (rig.counted.commits.at(at)?.rows ?? [])
        .map(({ row }) => row.kind)
        .filter((kind) => kind !== 'request');
    rig.model.next(asks('note'), asks('pay'), asks('note'));
    const first = await rig.ok(HI);
    await rig.run(first);
    const second = await rig.ok({ messages: [], session_id: first.session_id });
    expect(second.decision?.decision).toBe('approval_required');
    expect(kinds(-2)).toEqual([]);
    expect(kinds(-1)).toEqual(['session', 'run']);
    // The rows say that the run waits; going on changes that.
    await rig.ok({ ...HI, session_id: first.session_id });
    expect(kinds(-2)).toEqual(['session', 'run']);
    // Another process cannot know what they say.
    const other = createPackRig({ store: rig.store, clock: rig.clock, seed: 'other', instance: 'inst_2' });
    other.model.next(asks('note'));
    await other.ok({ ...HI, session_id: first.session_id });
    expect(other.counted.commits.at(-2)?.rows?.map(({ row }) => row.kind)).toContain('session');
    // A new run has rows of its own.
    await rig.ok({ ...HI, session_id: first.session_id });
    await rig.ok({ ...HI, session_id: first.session_id });
    expect(kinds(-2)).toEqual(['session', 'run']);
  });

  test('a snapshot holds no message, and a forged or stale one counts for nothing', async () => {
    const rig = createPackRig({ config: longConfig() });
    const { session_id } = await rig.ok({ messages: [user('the secret word is xyzzy')] });
    for (let turn = 1; turn < 105; turn++) await rig.ok({ ...HI, session_id });
    const chain = { tenant: 'local', aggregate: 'session' as const, id: session_id };
    const snapshot = await rig.store.snapshot(chain);
    expect(snapshot?.seq).toBeGreaterThanOrEqual(200);
    expect(JSON.stringify(snapshot)).not.toContain('xyzzy');
    const folded = await createSessions({ ...rig.store, snapshot: async () => undefined }).load(
      CALLER,
      session_id,
    );
    expect((await createSessions(rig.store).load(CALLER, session_id)).state).toEqual(folded.state);
    const stolen = { ...folded.state, facts: { ...folded.state.facts, principal: 'os:2000' } };
    const forged = { ...snapshot, state: { v: 1, state: stolen } };
    const liar = {
      ...rig.store,
      snapshot: async () => forged as never,
    };
    const stranger = { ...CALLER, principal: 'os:2000' };
    await expect(createSessions(liar).load(stranger, session_id)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const other = { v: 1, state: { ...folded.state, seq: snapshot?.seq, callCount: 1_000 } };
    const stale = { ...rig.store, snapshot: async () => ({ ...forged, hash: 'x', state: other }) as never };
    expect((await createSessions(stale).load(CALLER, session_id)).state).toEqual(folded.state);
  });

  test('turn 1,000 reads and writes no more than turn 10', async () => {
    const rig = createPackRig({ config: longConfig() });
    const { session_id } = await rig.ok(HI);
    const cost = async (): Promise<number[]> => {
      const { reads, commits } = rig.counted;
      const before = { ...reads, commits: commits.length };
      await rig.ok({ messages: [user('the same words')], session_id });
      const made = commits.slice(before.commits);
      return [
        reads.calls - before.calls,
        reads.records - before.records,
        made.length,
        made.flatMap((one) => one.appends ?? []).length,
        Math.round((reads.bytes - before.bytes) / 1000),
        Math.round(JSON.stringify(made).length / 1000),
      ];
    };
    for (let turn = 1; turn < 10; turn++) await rig.ok({ ...HI, session_id });
    const tenth = await cost();
    for (let turn = 11; turn < 1000; turn++) await rig.ok({ ...HI, session_id });
    expect(await cost()).toEqual(tenth);
    expect(tenth.slice(1, 4)).toEqual([0, 2, 2]);
  });

  test('the default session is minted once, and followed by a linked successor', async () => {
    const rig = createPackRig();
    const [a, b] = await Promise.all([rig.pack.directCall(CALLER), rig.pack.directCall(CALLER)]);
    expect(a.session.id).toBe(b.session.id);
    expect(a.context.runId).not.toBe(b.context.runId);
    expect((await rig.pack.directCall({ ...CALLER, actor: 'stdio:2' })).session.id).not.toBe(a.session.id);
    rig.clock.advance(31 * 60_000);
    const [c, d] = await Promise.all([rig.pack.directCall(CALLER), rig.pack.directCall(CALLER)]);
    expect(c.session.id).toBe(d.session.id);
    expect(c.session.id).not.toBe(a.session.id);
    const [started] = await rig.records(c.session.id);
    expect(started?.evidence).toMatchObject({ value: { kind: 'default', predecessor_id: a.session.id } });
    expect(rig.counted.commits).toHaveLength(3);
  });

  verifies(
    ['WF-03'],
    'call ids are unique across sessions, and each call knows its turn and intent',
    async () => {
      const rig = createPackRig();
      rig.model.next(asks('look'), asks('look'));
      const one = await rig.ok(HI);
      const two = await rig.ok(HI);
      expect(one.tool_call_id).not.toBe(two.tool_call_id);
      const swapped = { session_id: one.session_id, tool_call_id: two.tool_call_id ?? '' };
      await expect(rig.pack.requestedCall(CALLER, swapped)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    },
  );
});
