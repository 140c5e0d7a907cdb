// Owns the proof of the approval's one transition function, over every state and event.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Approval, ApprovalEvent, ApprovalState } from '../../../src/kernel/approvals/approval.ts';
import { foldApproval, transition } from '../../../src/kernel/approvals/transition.ts';
import { verifies } from '../../e2e/verifies.ts';
import { answerer, subject } from './words.ts';

const by = answerer();
const events: Record<ApprovalEvent['type'], ApprovalEvent> = {
  approval_requested: { type: 'approval_requested', subject: subject() },
  approval_delivered: {
    type: 'approval_delivered',
    delivery: { delivery: { kind: 'timed_out', latencyMs: 1 }, channel: 'elicitation', at: 10 },
  },
  approval_approved: { type: 'approval_approved', by, at: 20, useBy: 500, bindingDigest: 'sha256:b' },
  approval_rejected: { type: 'approval_rejected', by, at: 20 },
  approval_expired: { type: 'approval_expired', at: 30 },
  approval_revoked: { type: 'approval_revoked', at: 30, reason: 'policy' },
  approval_consumed: { type: 'approval_consumed', at: 40, callId: 'call_1' },
};
const all = Object.values(events);
const TERMINAL = ['rejected', 'expired', 'revoked', 'consumed'] as const;

const paths: Record<ApprovalState, ApprovalEvent['type'][]> = {
  pending: ['approval_requested'],
  approved: ['approval_requested', 'approval_approved'],
  rejected: ['approval_requested', 'approval_rejected'],
  expired: ['approval_requested', 'approval_expired'],
  revoked: ['approval_requested', 'approval_revoked'],
  consumed: ['approval_requested', 'approval_approved', 'approval_consumed'],
};

/** Where each event leads; absent: it may not happen. Written from the design, not from the code. */
const legal: Record<ApprovalState, Partial<Record<ApprovalEvent['type'], ApprovalState>>> = {
  pending: {
    approval_delivered: 'pending',
    approval_approved: 'approved',
    approval_rejected: 'rejected',
    approval_expired: 'expired',
    approval_revoked: 'revoked',
  },
  approved: {
    approval_delivered: 'approved',
    approval_consumed: 'consumed',
    approval_expired: 'expired',
    approval_revoked: 'revoked',
  },
  rejected: { approval_delivered: 'rejected' },
  expired: { approval_delivered: 'expired' },
  revoked: { approval_delivered: 'revoked' },
  consumed: { approval_delivered: 'consumed' },
};

function at(state: ApprovalState): Approval {
  const approval = foldApproval(paths[state].map((type) => events[type]));
  if (approval?.state !== state) throw new Error(`no path to ${state}`);
  return approval;
}

describe('transition', () => {
  verifies(
    { partial: ['AP-07'] },
    'allows exactly the steps of the table, from every state by every event',
    () => {
      for (const state of Object.keys(legal) as ApprovalState[]) {
        for (const event of all) {
          const step = transition(at(state), event);
          const expected = legal[state][event.type];
          expect([state, event.type, step.ok ? step.approval.state : 'refused']).toEqual([
            state,
            event.type,
            expected ?? 'refused',
          ]);
          if (!step.ok) expect(step.why).not.toBe('');
        }
      }
    },
  );

  test('nothing but a request begins an approval', () => {
    for (const event of all) {
      expect(transition(undefined, event).ok).toBe(event.type === 'approval_requested');
    }
  });

  test('changes nothing in what it was given', () => {
    for (const state of Object.keys(legal) as ApprovalState[]) {
      const before = at(state);
      const copy = structuredClone(before);
      for (const event of all) transition(before, event);
      expect(before).toEqual(copy);
    }
  });

  test('times are bounds that are not reached, and a time that is no number is past', () => {
    const approve = (when: number) => transition(at('pending'), { ...approvedEvent, at: when });
    expect(approve(99).ok).toBe(true);
    expect(approve(100).ok).toBe(false);
    expect(approve(Number.NaN).ok).toBe(false);
    const consume = (when: number) =>
      transition(at('approved'), { type: 'approval_consumed', at: when, callId: 'c' });
    expect(consume(499).ok).toBe(true);
    expect(consume(500).ok).toBe(false);
    expect(consume(Number.NaN).ok).toBe(false);
    const endless = transition(at('pending'), { ...approvedEvent, useBy: Number.NaN });
    expect(endless.ok && transition(endless.approval, events.approval_consumed).ok).toBe(false);
  });
});

const approvedEvent = events.approval_approved as ApprovalEvent & { type: 'approval_approved' };
const anyEvents = fc.array(fc.constantFrom(...all), { maxLength: 12 });

describe('any sequence of events', () => {
  test('reaches consumed only through an approval, once, and never leaves an end', () => {
    fc.assert(
      fc.property(anyEvents, (sequence) => {
        let current: Approval | undefined;
        const seen: ApprovalState[] = [];
        let approvals = 0;
        for (const event of sequence) {
          const step = transition(current, event);
          if (!step.ok) continue;
          if (event.type === 'approval_approved') approvals += 1;
          const before = current?.state;
          current = step.approval;
          if (TERMINAL.some((end) => end === before)) expect(current.state).toBe(before);
          if (current.state !== before) seen.push(current.state);
        }
        expect(seen.filter((state) => state === 'consumed').length).toBeLessThanOrEqual(approvals);
        expect(approvals).toBeLessThanOrEqual(1);
        expect(foldApproval(sequence)).toEqual(current);
      }),
      { seed: 7, numRuns: 2000 },
    );
  });

  test('without an approval never reaches consumed', () => {
    const rest = all.filter((event) => event.type !== 'approval_approved');
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...rest), { maxLength: 20 }), (sequence) => {
        const state = foldApproval([events.approval_requested, ...sequence])?.state;
        expect(['consumed', 'approved']).not.toContain(state);
      }),
      { seed: 7, numRuns: 1000 },
    );
  });
});
