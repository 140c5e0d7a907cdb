// What comes next, for every state a call can be in and everything that can stop a run.
import { describe, expect, test } from 'vitest';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';
import { nextStep } from '../../src/pack/managed/next-step.ts';
import type { Tried, View } from '../../src/pack/managed/next-step.ts';
import type { ManagedState } from '../../src/pack/managed/state.ts';
import type { CallState, LiveState, RequestedCall } from '../../src/pack/sessions/session.ts';
import { verifies } from '../e2e/verifies.ts';

function call(id: string, state: CallState, told: RequestedCall['told'] = 'nothing'): RequestedCall {
  return {
    id,
    tool: 'note',
    turnSeq: 4,
    index: 0,
    turnIndex: 0,
    callsBefore: 0,
    runId: 'r',
    traceId: 't',
    state,
    told,
  };
}

function session(over: { calls?: RequestedCall[]; unseen?: boolean } = {}): LiveState & { status: 'open' } {
  return {
    status: 'open',
    facts: {
      id: 'ses_1',
      kind: 'agent',
      tenant: 'local',
      principal: 'p',
      actor: 'a',
      agentId: 'agent',
      lane: 'default',
      task: 'agent-session',
      limits: { turns: 9, toolCalls: 9, inputBytes: 9 },
      delegation: NO_DELEGATION,
      startedAt: 0,
    },
    seq: 9,
    turnCount: 1,
    callCount: 0,
    run: undefined,
    openTurn: undefined,
    unseen: false,
    calls: [],
    ...over,
  };
}

const managed: ManagedState = {
  status: 'active',
  facts: { inputSeq: 2 },
  step: 2,
  invocations: 1,
  untaken: [],
  accepted: [],
  invocation: { number: 1, instance: 'inst_1' },
};

function view(over: Partial<View> = {}): View {
  const tried = new Map<string, Tried>();
  return { session: session(), managed, now: 100, turnsLeft: 1, tried, isStopped: false, ...over };
}

const of = (...calls: RequestedCall[]): Partial<View> => ({ session: session({ calls }) });
const waiting = call('call_w', { at: 'waiting', seq: 5, approvalId: 'apr_1' });
const pending: Partial<View> = { tried: new Map([['call_w', { at: 'waiting', requestId: 'apr_1' }]]) };
const lost = call('call_u', { at: 'finished', seq: 6, unknown: true });

describe('the next step', () => {
  verifies(
    { partial: ['WF-01'] },
    'a call that has not been carried to the door comes before the model',
    () => {
      const due: CallState[] = [
        { at: 'requested' },
        { at: 'waiting', seq: 5, approvalId: 'apr_1' },
        { at: 'running', seq: 5 },
      ];
      for (const state of due) {
        expect(nextStep(view({ ...of(call('call_1', state)), turnsLeft: 0 }))).toEqual({
          do: 'call',
          callId: 'call_1',
        });
      }
      const over: CallState[] = [
        { at: 'refused' },
        { at: 'denied', seq: 5 },
        { at: 'finished', seq: 5 },
        { at: 'replayed', seq: 5 },
        { at: 'settled', seq: 5 },
      ];
      for (const state of over) expect(nextStep(view(of(call('call_1', state))))).toEqual({ do: 'turn' });
      expect(nextStep(view(of(call('call_1', { at: 'closed', by: 'nobody' }, 'outcome'))))).toMatchObject({
        do: 'end',
        ending: { why: 'reply' },
      });
    },
  );

  test('a call that waits holds up none of the others, and then the model', () => {
    const two = { ...of(waiting, call('call_2', { at: 'requested' })), ...pending };
    expect(nextStep(view(two))).toEqual({ do: 'call', callId: 'call_2' });
    expect(
      nextStep(view({ ...of(waiting, call('call_2', { at: 'finished', seq: 7 })), ...pending })),
    ).toEqual({
      do: 'end',
      ending: { as: 'waiting_approval', requestId: 'apr_1', callId: 'call_w' },
    });
  });

  verifies({ partial: ['WF-05'] }, 'turns used up suspend, and only when the model would speak', () => {
    const news = session({ unseen: true });
    expect(nextStep(view({ session: news }))).toEqual({ do: 'turn' });
    expect(nextStep(view({ session: news, turnsLeft: 0 }))).toEqual({
      do: 'end',
      ending: { as: 'suspended', why: 'budget', reason: 'Invocation turn budget reached.' },
    });
    expect(nextStep(view({ managed: { ...managed, untaken: [2] } }))).toEqual({ do: 'turn' });
    expect(nextStep(view({ turnsLeft: 0 }))).toMatchObject({ ending: { why: 'reply' } });
  });

  test('an unknown effect stops the run until it is taken note of by name', () => {
    const stop = { do: 'end', ending: { as: 'suspended', why: 'reconcile', callId: 'call_u' } };
    expect(nextStep(view(of(lost)))).toMatchObject(stop);
    const settled = call('call_u', { at: 'settled', seq: 6, unknown: true });
    expect(nextStep(view(of(settled)))).toMatchObject(stop);
    const accept = (id: string): Partial<View> => ({ managed: { ...managed, accepted: [id] } });
    expect(nextStep(view({ ...of(lost), ...accept('call_x') }))).toMatchObject(stop);
    expect(nextStep(view({ ...of(lost), ...accept('call_u') }))).toEqual({ do: 'turn' });
    expect(nextStep(view(of({ ...lost, told: 'outcome' })))).toMatchObject({ ending: { why: 'reply' } });
  });

  test('a rule that ends the run ends it, until something new is said', () => {
    const ended = call('call_d', { at: 'denied', seq: 6, endsRun: true });
    expect(nextStep(view(of(ended)))).toMatchObject({
      ending: { as: 'error', stage: 'call_tool', error: { code: 'POLICY_DENIED' } },
    });
    expect(nextStep(view({ ...of(ended), managed: { ...managed, untaken: [9] } }))).toEqual({ do: 'turn' });
  });

  test('what ends outranks what goes on: closed, then late, stopped, failed', () => {
    const calls = [call('call_1', { at: 'requested' })];
    const closed: LiveState = {
      ...session({ calls }),
      status: 'closed',
      closedAt: 1,
      finalStatus: 'complete',
    };
    const late = { managed: { ...managed, facts: { inputSeq: 2, expiresAt: 100 } } };
    const failure = { code: 'PROVIDER_TIMEOUT', message: 'm' } as const;
    const all = { ...late, isStopped: true, failure };
    expect(nextStep(view({ ...all, session: closed }))).toEqual({ do: 'end', ending: { as: 'completed' } });
    expect(nextStep(view({ ...of(...calls), ...all }))).toMatchObject({ do: 'expire' });
    expect(nextStep(view({ ...of(...calls), ...all, now: 99 }))).toMatchObject({
      ending: { why: 'stopped' },
    });
    expect(nextStep(view({ ...of(...calls), failure }))).toEqual({
      do: 'end',
      ending: { as: 'error', stage: 'execute_turn', error: failure },
    });
    expect(nextStep(view({ failure: { code: 'CONFLICT', message: 'm' } }))).toMatchObject({
      ending: { why: 'busy' },
    });
    const busy = new Map<string, Tried>([['call_1', { at: 'busy' }]]);
    const running = of(call('call_1', { at: 'running', seq: 5 }));
    expect(nextStep(view({ ...running, tried: busy }))).toMatchObject({
      ending: { why: 'busy', callId: 'call_1' },
    });
  });

  test('a word from the model ends the invocation, and says whether a person is wanted', () => {
    expect(nextStep(view())).toMatchObject({ ending: { as: 'suspended', why: 'reply' } });
    const escalated: LiveState = { ...session(), status: 'escalated', itemId: 'esc_1' };
    expect(nextStep(view({ session: escalated }))).toMatchObject({ ending: { why: 'escalated' } });
  });
});
