import { describe, expect, test } from 'vitest';
import { ABSENT, apply, owed } from '../../src/pack/sessions/session.ts';
import type { SessionEvent, SessionState } from '../../src/pack/sessions/session.ts';
import { runGovernedAgentLoop } from '../../src/pack/index.ts';
import { reportAt } from '../../src/pack/sessions/call-report.ts';
import { createSessions } from '../../src/pack/sessions/sessions.ts';
import type { TurnOutput } from '../../src/pack/turn/contract.ts';
import { asks, CALLER, createPackRig, rigConfig, user } from './rig.ts';
import type { Rig } from './rig.ts';

const HI = { messages: [user('hi')] };

function roomyConfig(): ReturnType<typeof rigConfig> {
  const config = rigConfig();
  return {
    ...config,
    limits: { maxTurnsPerSession: 500, maxToolCallsPerSession: 500, maxInputBytes: 10_000_000 },
  };
}

async function callTurn(rig: Rig, n: number, session_id?: string): ReturnType<Rig['ok']> {
  rig.model.next(asks('look', { n }));
  return rig.ok(session_id === undefined ? HI : { ...HI, session_id });
}

describe('requested calls over time', () => {
  test('what is kept of calls is bounded; an old one is answered from its record and never runs again', async () => {
    const rig = createPackRig({ config: roomyConfig() });
    const first = await callTurn(rig, 0);
    const { session_id } = first;
    await rig.run(first);
    const unrun = await callTurn(rig, 1, session_id);
    for (let n = 2; n < 70; n++) await rig.run(await callTurn(rig, n, session_id));
    const { state } = await createSessions(rig.store).load(CALLER, session_id);
    expect(state.calls.length).toBeLessThanOrEqual(65);
    expect(rig.effects).toHaveLength(69);
    expect(await rig.run(first)).toMatchObject({ status: 'done', outcome: { replayed: true } });
    expect((await rig.run(unrun))?.status).toBe('canceled');
    const stranger = { ...CALLER, principal: 'os:2000' };
    await expect(rig.run(first, stranger)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(rig.effects).toHaveLength(69);
  });

  test('a call that was told as denied and then ran is told once more', () => {
    const at = { at: 1 };
    const turn = { turnIndex: 0, runId: 'run', traceId: 't', instance: 'i', deadlineAt: 9 };
    const started = { type: 'turn_started', isNewRun: true, hasUserMessage: true, ...at } as const;
    const events: SessionEvent[] = [
      { type: 'session_started', seq: 1, ...at, facts: { id: 's' } as never },
      { ...started, seq: 2, turn, told: [] },
      {
        type: 'turn_completed',
        seq: 3,
        ...at,
        status: 'tool_request',
        turnIndex: 0,
        calls: [{ id: 'c', tool: 'look', runId: 'run', traceId: 't', state: { at: 'requested' } }],
      },
      { type: 'call_denied', seq: 4, ...at, callId: 'c' },
      { ...started, seq: 5, turn: { ...turn, turnIndex: 1 }, told: [{ callId: 'c', as: 'outcome' }] },
      { type: 'call_started', seq: 6, ...at, callId: 'c' },
      { type: 'call_finished', seq: 7, ...at, callId: 'c' },
    ];
    const due: string[] = [];
    let state: SessionState = ABSENT;
    for (const event of events) {
      state = apply(state, event);
      const call = state.status === 'absent' ? undefined : state.calls[0];
      if (call !== undefined) due.push(owed(call));
    }
    expect(due).toEqual(['outcome', 'outcome', 'nothing', 'nothing', 'outcome']);
    expect(state).toMatchObject({ turnCount: 2, callCount: 1, seq: 7 });
  });

  test('the count of calls before a call is the one of its turn, however late it is asked for', async () => {
    const rig = createPackRig();
    const first = await callTurn(rig, 0);
    const { session_id } = first;
    const counted = async ({ tool_call_id = '' }: TurnOutput): Promise<number | undefined> => {
      const found = await rig.pack.requestedCall(CALLER, { session_id, tool_call_id });
      return found.kind === 'call' ? found.request.asked?.callCount : undefined;
    };
    expect(await counted(first)).toBe(0);
    await rig.run(first);
    expect(await counted(first)).toBe(0);
    expect(await counted(await callTurn(rig, 1, session_id))).toBe(1);
  });

  test('an erased result is told as erased, and memory forgets it', async () => {
    const rig = createPackRig();
    rig.tool.run = async () => ({
      kind: 'result',
      content: [{ type: 'text', text: 'private words' }],
      isError: false,
      notes: [],
    });
    const turn = await callTurn(rig, 0);
    await rig.run(turn);
    await rig.ok({ messages: [], session_id: turn.session_id });
    expect(JSON.stringify(rig.model.inputs.at(-1))).toContain('private words');
    const chain = { tenant: 'local', aggregate: 'session' as const, id: turn.session_id };
    const finished = (await rig.records(turn.session_id)).find((one) => one.header.type === 'call_finished');
    const keyless = { ...rig.store, unseal: async () => ({ state: 'unreadable' as const }) };
    const report = await reportAt(keyless, chain, finished?.header.seq ?? 0);
    expect(report).toMatchObject({ isError: true, content: expect.stringContaining('erased') as unknown });
    await rig.store.erase(chain, [finished?.header.seq ?? 0], rig.clock.now(), 'asked');
    await rig.ok({ ...HI, session_id: turn.session_id });
    expect(JSON.stringify(rig.model.inputs.at(-1))).not.toContain('private words');
    expect(JSON.stringify(rig.model.inputs.at(-1))).toContain('has been erased');
  });

  test('what memory holds of a call is told and run word for word as another process reads it', async () => {
    const rig = createPackRig();
    rig.tool.run = async () => ({
      kind: 'result',
      content: [{ type: 'text', text: 'see the rest' }],
      structured: { zebra: 1, apple: { pear: [2], fig: null } },
      isError: false,
      notes: [],
    });
    rig.model.next(asks('note', { z: 1, a: { y: 2, b: 3 } }));
    const turn = await rig.ok(HI);
    const before = rig.counted.reads.records;
    await rig.run(turn);
    await rig.ok({ messages: [], session_id: turn.session_id });
    expect(rig.counted.reads.records).toBe(before);
    expect(JSON.stringify(rig.effects[0]?.args)).toBe('{"a":{"b":3,"y":2},"z":1}');
    const other = createPackRig({ store: rig.store, clock: rig.clock, seed: 'other', instance: 'inst_2' });
    await other.ok({ ...HI, session_id: turn.session_id });
    const told = rig.model.inputs.at(-1)?.messages ?? [];
    const read = other.model.inputs.at(-1)?.messages ?? [];
    expect(told.at(-1)?.content).toContain('apple');
    expect(read.slice(1, told.length).map((one) => one.content)).toEqual(
      told.slice(1).map((one) => one.content),
    );
  });

  test('a replayed call is told with the result of the call that it repeats', async () => {
    const rig = createPackRig();
    rig.tool.run = async () => ({
      kind: 'result',
      content: [{ type: 'text', text: 'ticket 7' }],
      isError: false,
      notes: [],
    });
    rig.model.next(asks('ticket', { key: 'k' }), asks('ticket', { key: 'k' }));
    const one = await rig.ok(HI);
    await rig.run(one);
    const two = await rig.ok(HI);
    expect((await rig.run(two))?.status).toBe('done');
    expect(rig.effects).toHaveLength(1);
    await rig.ok({ messages: [], session_id: two.session_id });
    expect(JSON.stringify(rig.model.inputs.at(-1)?.messages.at(-1))).toContain('ticket 7');
  });

  test('in the loop an effect that is unknown outranks a wait', async () => {
    const rig = createPackRig();
    rig.model.next({ toolCalls: ['note', 'pay'].map((name) => ({ id: name, name, rawInput: '{}' })) });
    rig.tool.run = async () => ({
      kind: 'failed',
      code: 'TOOL_TIMEOUT',
      message: 'late',
      sideEffect: 'side_effect_unknown',
      notes: [],
    });
    const io = { signal: new AbortController().signal };
    const options = { runtime: rig.runtime, caller: CALLER, io, executeTurnInput: HI };
    expect(await runGovernedAgentLoop(options)).toMatchObject({ kind: 'error', stage: 'call_tool' });
  });
});
