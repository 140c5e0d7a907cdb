// Every pair of a state and an event: what it becomes, and that nothing else may happen.
import { expect, test } from 'vitest';
import type {
  CapabilityEvent,
  CapabilitySession,
  CapabilityStatus,
  OpenInput,
} from '../../../src/capabilities/sessions/capability-session.ts';
import { STATUSES } from '../../../src/capabilities/sessions/capability-session.ts';
import { transition } from '../../../src/capabilities/sessions/transition.ts';
import { foldSession } from './fold.ts';
import { verifies } from '../../e2e/verifies.ts';

const RUN = { runId: 'run_1', traceId: 'trace_1' };
const INPUT: OpenInput = {
  inputId: 'in_1',
  callId: 'call_1',
  runId: 'run_1',
  mode: 'form',
  askedAt: 2,
  openUntil: 99,
};
const TOKEN = { digest: 'sha256:t', runId: 'run_1', callId: 'call_1', until: 50 };

const EVENTS: Record<CapabilityEvent['type'], CapabilityEvent> = {
  capability_session_opened: {
    type: 'capability_session_opened',
    subject: {
      id: 'cap_1',
      tenant: 't',
      principal: 'p',
      server: 's',
      transport: 'stdio',
      owner: 'o',
      poolKey: 'k',
      policyDigest: 'd',
      instance: 'i',
      openedAt: 1,
    },
    run: RUN,
    expiresAt: 10,
    at: 1,
  },
  capability_session_connected: {
    type: 'capability_session_connected',
    instance: 'i2',
    run: RUN,
    expiresAt: 20,
    at: 2,
  },
  capability_input_requested: { type: 'capability_input_requested', input: INPUT, run: RUN, at: 2 },
  capability_input_closed: {
    type: 'capability_input_closed',
    inputId: 'in_1',
    how: 'accepted',
    expiresAt: 20,
    at: 3,
  },
  capability_approval_awaited: {
    type: 'capability_approval_awaited',
    approvalId: 'apr_1',
    run: RUN,
    expiresAt: 20,
    at: 2,
  },
  capability_approval_decided: {
    type: 'capability_approval_decided',
    approvalId: 'apr_1',
    decided: 'approved',
    at: 3,
  },
  capability_resume_offered: { type: 'capability_resume_offered', token: TOKEN, at: 3 },
  capability_session_resumed: { type: 'capability_session_resumed', digest: 'sha256:t', at: 4 },
  capability_session_lost: {
    type: 'capability_session_lost',
    cause: 'http_404',
    then: 'reinitialize',
    at: 4,
  },
  capability_session_reinitialized: { type: 'capability_session_reinitialized', successor: 'cap_2', at: 5 },
  capability_session_completed: { type: 'capability_session_completed', reason: 'closed', at: 5 },
  capability_session_failed: { type: 'capability_session_failed', reason: 'broke', at: 5 },
  capability_session_canceled: { type: 'capability_session_canceled', reason: 'stopped', at: 5 },
  capability_session_expired: { type: 'capability_session_expired', cause: 'idle_limit', at: 5 },
};

const open = EVENTS.capability_session_opened;
const PATHS: Record<CapabilityStatus, CapabilityEvent[]> = {
  in_progress: [open],
  waiting_for_input: [open, EVENTS.capability_input_requested],
  waiting_for_approval: [open, EVENTS.capability_approval_awaited],
  resumable: [open, EVENTS.capability_resume_offered],
  reinitialize_required: [open, EVENTS.capability_session_lost],
  completed: [open, EVENTS.capability_session_completed],
  failed: [open, EVENTS.capability_session_failed],
  canceled: [open, EVENTS.capability_session_canceled],
  expired: [open, EVENTS.capability_session_expired],
};

const ENDS = {
  capability_session_completed: 'completed',
  capability_session_failed: 'failed',
  capability_session_canceled: 'canceled',
  capability_session_expired: 'expired',
} as const;

/** What each event makes of each state; absent: refused. */
const TABLE: Record<CapabilityStatus, Partial<Record<CapabilityEvent['type'], CapabilityStatus>>> = {
  in_progress: {
    ...ENDS,
    capability_input_requested: 'waiting_for_input',
    capability_approval_awaited: 'waiting_for_approval',
    capability_resume_offered: 'resumable',
    capability_session_lost: 'reinitialize_required',
  },
  waiting_for_input: {
    ...ENDS,
    capability_input_requested: 'waiting_for_input',
    capability_input_closed: 'in_progress',
    capability_approval_awaited: 'waiting_for_input',
    capability_resume_offered: 'resumable',
    capability_session_lost: 'reinitialize_required',
  },
  waiting_for_approval: {
    ...ENDS,
    capability_input_requested: 'waiting_for_input',
    capability_approval_awaited: 'waiting_for_approval',
    capability_approval_decided: 'in_progress',
    capability_resume_offered: 'resumable',
    capability_session_lost: 'reinitialize_required',
  },
  resumable: {
    ...ENDS,
    capability_input_requested: 'resumable',
    capability_approval_awaited: 'resumable',
    capability_resume_offered: 'resumable',
    capability_session_resumed: 'in_progress',
    capability_session_lost: 'reinitialize_required',
  },
  reinitialize_required: {
    ...ENDS,
    capability_approval_awaited: 'reinitialize_required',
    capability_resume_offered: 'reinitialize_required',
    capability_session_reinitialized: 'expired',
  },
  completed: {},
  failed: {},
  canceled: {},
  expired: {},
};

const PAIRS = STATUSES.flatMap((from) =>
  Object.values(EVENTS).map((event): [CapabilityStatus, CapabilityEvent] => [from, event]),
);

verifies(['CS-03'], 'every state answers every event as the table says, and nothing else happens', () => {
  expect(PAIRS).toHaveLength(9 * 14);
  for (const [from, event] of PAIRS) {
    const state = foldSession(PATHS[from])!;
    expect(state.status).toBe(from);
    const before = structuredClone(state);
    const step = transition(state, event);
    const becomes = TABLE[from][event.type];
    expect(step.ok ? step.session.status : undefined, `${from} + ${event.type}`).toBe(becomes);
    expect(state, 'the function is pure').toEqual(before);
  }
});

test('nothing but an opening makes a session', () => {
  for (const event of Object.values(EVENTS)) {
    expect(transition(undefined, event).ok, event.type).toBe(event.type === 'capability_session_opened');
  }
});

test('a token counts for its own digest, before its time, and once', () => {
  const state = foldSession(PATHS.resumable)!;
  const resume = (digest: string, at: number, from: CapabilitySession = state): boolean =>
    transition(from, { type: 'capability_session_resumed', digest, at }).ok;
  expect(resume('sha256:other', 4)).toBe(false);
  expect(resume('sha256:t', 50)).toBe(false);
  expect(resume('sha256:t', Number.NaN)).toBe(false);
  expect(resume('sha256:t', 49)).toBe(true);
  const once = foldSession([...PATHS.resumable, EVENTS.capability_session_resumed])!;
  expect(resume('sha256:t', 4, once)).toBe(false);
});

test('a lost session keeps why, which questions were lost, and who continues it', () => {
  const events = [...PATHS.waiting_for_input, EVENTS.capability_session_lost];
  expect(foldSession(events)).toMatchObject({ cause: 'http_404', lostInputs: ['in_1'], inputs: [] });
  expect(foldSession([...events, EVENTS.capability_session_reinitialized])).toMatchObject({
    status: 'expired',
    cause: 'http_404',
    reinitializedAs: 'cap_2',
  });
  const canceled: CapabilityEvent = {
    type: 'capability_session_lost',
    cause: 'http_404',
    then: 'cancel',
    at: 4,
  };
  expect(foldSession([open, canceled])).toMatchObject({ status: 'canceled', cause: 'http_404' });
});

test('two inputs and an approval at once: the status follows what is left', () => {
  const second: CapabilityEvent = {
    type: 'capability_input_requested',
    input: { ...INPUT, inputId: 'in_2' },
    run: RUN,
    at: 3,
  };
  const events = [...PATHS.waiting_for_input, second, EVENTS.capability_approval_awaited];
  const statuses = [
    EVENTS.capability_input_closed,
    { ...EVENTS.capability_input_closed, inputId: 'in_2' } as CapabilityEvent,
    EVENTS.capability_approval_decided,
  ].map((event) => {
    events.push(event);
    return foldSession(events)?.status;
  });
  expect(statuses).toEqual(['waiting_for_input', 'waiting_for_approval', 'in_progress']);
});

test('an approval that is asked for again is awaited once, in an open session as in a lost one', () => {
  const { capability_approval_awaited: awaited, capability_approval_decided: decided } = EVENTS;
  const other = { ...awaited, approvalId: 'apr_2' };
  for (const path of [[open], [open, EVENTS.capability_session_lost]]) {
    const session = foldSession([...path, awaited, other, awaited]);
    expect([session?.approvals, session?.approvalState]).toEqual([['apr_2', 'apr_1'], 'pending']);
    expect(foldSession([...path, awaited, awaited, decided])?.approvals).toEqual([]);
  }
});
