// Every state of a managed session against every event: what is legal is said here once more, by hand, and the rest is
// refused and changes nothing.
import { describe, expect, test } from 'vitest';
import { endedRecord, startedRecord } from '../../src/pack/managed/commits.ts';
import { admittedEvidence, managedEventOf } from '../../src/pack/managed/managed-events.ts';
import { applyManaged, transition } from '../../src/pack/managed/state.ts';
import type { Ending, ManagedEvent, ManagedState } from '../../src/pack/managed/state.ts';
import { verifies } from '../e2e/verifies.ts';

const common = { facts: { inputSeq: 2 }, step: 4, invocations: 1, untaken: [2], accepted: ['call_a'] };
const ENDINGS: Ending[] = [
  { as: 'suspended', why: 'budget', reason: 'r' },
  { as: 'suspended', why: 'reconcile', reason: 'r', callId: 'call_1' },
  { as: 'waiting_approval', requestId: 'apr_1', callId: 'call_1' },
  { as: 'completed' },
  { as: 'error', stage: 'execute_turn', error: { code: 'INTERNAL', message: 'm' } },
];

const STATES: Record<string, ManagedState | undefined> = {
  absent: undefined,
  queued: { ...common, status: 'queued' },
  fresh: { ...common, status: 'active' },
  running: { ...common, status: 'active', invocation: { number: 1, instance: 'inst_1' } },
  suspended: { ...common, status: 'suspended', why: 'budget', reason: 'r' },
  waiting: { ...common, status: 'waiting_approval', requestId: 'apr_1', callId: 'call_1' },
  error: { ...common, status: 'error', stage: 'session', error: { code: 'INTERNAL', message: 'm' } },
  completed: { ...common, status: 'completed' },
  canceled: { ...common, status: 'canceled', reason: 'r' },
  expired: { ...common, status: 'expired', reason: 'r' },
};

const begin = (number: number): ManagedEvent => ({
  type: 'invocation_started',
  invocation: { number, instance: 'inst_2' },
  messagesAt: 9,
  accepted: ['call_b'],
});
const EVENTS: Record<string, ManagedEvent> = {
  admitted: { type: 'session_admitted', as: 'queued', facts: { inputSeq: 2 } },
  nextInvocation: begin(2),
  sameInvocation: begin(1),
  skippedInvocation: begin(3),
  ended: { type: 'invocation_ended', number: 1, ending: { as: 'completed' } },
  endedByAnother: { type: 'invocation_ended', number: 2, ending: { as: 'completed' } },
  canceled: { type: 'session_canceled', reason: 'why' },
  expired: { type: 'session_expired', reason: 'late' },
  turn: { type: 'turn_started' },
};

// What each state becomes; whatever is not listed is refused.
const live = { nextInvocation: 'active', canceled: 'canceled', expired: 'expired' };
const LEGAL: Record<string, Record<string, string>> = {
  absent: { admitted: 'queued' },
  queued: { ...live, turn: 'queued' },
  fresh: { ...live, turn: 'active' },
  running: { ...live, ended: 'completed', turn: 'active' },
  suspended: { ...live, turn: 'suspended' },
  waiting: { ...live, turn: 'waiting_approval' },
  error: { ...live, turn: 'error' },
  completed: {},
  canceled: {},
  expired: {},
};

describe('the state of a managed session', () => {
  verifies(['WF-06'], 'every state takes its legal events and refuses all others', () => {
    const seen: Record<string, Record<string, string>> = {};
    for (const [from, state] of Object.entries(STATES)) {
      seen[from] = {};
      for (const [name, event] of Object.entries(EVENTS)) {
        const step = transition(state, event);
        if (step.ok) seen[from][name] = step.state.status;
        else {
          expect(step.why).not.toBe('');
          expect(applyManaged(state, event), `${from} ${name}`).toBe(state);
        }
      }
    }
    expect(seen).toEqual(LEGAL);
  });

  test('every own step counts one on, and a turn counts none', () => {
    for (const [from, moves] of Object.entries(LEGAL)) {
      for (const name of Object.keys(moves)) {
        const before = STATES[from];
        const after = applyManaged(before, EVENTS[name]!);
        expect(after?.step, `${from} ${name}`).toBe((before?.step ?? 0) + (name === 'turn' ? 0 : 1));
      }
    }
  });

  test('a new invocation keeps what waits, adds what it brings, and a turn takes all of it in', () => {
    const active = applyManaged(STATES.suspended, EVENTS.nextInvocation!);
    expect(active).toEqual({
      ...common,
      step: 5,
      status: 'active',
      invocations: 2,
      invocation: { number: 2, instance: 'inst_2' },
      untaken: [2, 9],
      accepted: ['call_a', 'call_b'],
    });
    expect(applyManaged(active, EVENTS.turn!)).toMatchObject({ untaken: [], status: 'active' });
  });

  test('a state never keeps a word of the state before it', () => {
    for (const ending of ENDINGS) {
      const event: ManagedEvent = { type: 'invocation_ended', number: 1, ending };
      const after = applyManaged(STATES.running, event);
      const { as: status, ...how } = ending;
      expect(after).toEqual({ ...common, step: 5, ...how, status });
      expect(applyManaged(after, begin(2))?.status).toBe(ending.as === 'completed' ? 'completed' : 'active');
      expect(applyManaged(STATES.waiting, event)).toBe(STATES.waiting);
    }
  });

  test('evidence and event are two forms of one thing', () => {
    for (const ending of ENDINGS) {
      const { type, evidence } = endedRecord(7, ending);
      expect(managedEventOf(type, evidence, 1)).toEqual({ type, number: 7, ending });
    }
    const facts = {
      parent: { workflow_id: 'ses_w', node_id: 'n', attempt: 2, iteration: 3 },
      expiresAt: 5,
    };
    expect(managedEventOf('session_admitted', admittedEvidence('active', facts), 2)).toEqual({
      type: 'session_admitted',
      as: 'active',
      facts: { ...facts, inputSeq: 2 },
    });
    const started = startedRecord({
      number: 2,
      reason: 'resumed',
      instance: 'inst_2',
      askedBy: 'stdio:2',
      maxTurns: 3,
      messages: [{ role: 'user', content: 'x' }],
      accepted: ['call_b'],
      configDigest: 'c',
      policyDigest: 'p',
    });
    expect(managedEventOf(started.type, started.evidence, 9)).toEqual(begin(2));
    expect(JSON.stringify(started.evidence)).not.toContain('"x"');
    expect(managedEventOf('turn_completed', {}, 3)).toBeUndefined();
  });
});
