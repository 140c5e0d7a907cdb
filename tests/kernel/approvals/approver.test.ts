// Owns the proof of who may answer, and how strong an answer must be.
import { describe, expect, test } from 'vitest';
import type { Answerer, ApprovalSubject, Delivery } from '../../../src/kernel/approvals/approval.ts';
import { asShown, suffices } from '../../../src/kernel/approvals/approver.ts';
import type { Attestation, Risk } from '../../../src/config/types.ts';
import { answerer, subject } from './words.ts';

function accept(
  who: Partial<Answerer>,
  what: Partial<ApprovalSubject> = {},
  delivery: Partial<Delivery & { kind: 'answered' }> = {},
): boolean {
  return suffices(answerer(who), subject(what), {
    kind: 'answered',
    decision: 'approve',
    latencyMs: 4000,
    ...delivery,
  }).ok;
}

describe('who may answer', () => {
  test('is the approver of the rule, in the same tenant', () => {
    const table: [approver: string, who: Partial<Answerer>, may: boolean][] = [
      ['principal', {}, true],
      ['principal', { principal: 'os:2' }, false],
      ['principal', { principal: 'os:2', roles: ['approver'] }, true],
      ['principal', { principal: 'os:2', roles: ['operator', 'admin'] }, false],
      ['principal', { tenant: 'other' }, false],
      ['principal', { tenant: 'other', roles: ['approver'] }, false],
      ['other', {}, false],
      ['other', { roles: ['approver', 'admin'] }, false],
      ['other', { principal: 'os:2' }, true],
      ['other', { principal: 'os:2', tenant: 'other' }, false],
      ['role:manager', {}, false],
      ['role:manager', { roles: ['manager'] }, true],
      ['role:manager', { principal: 'os:2', roles: ['manager'] }, true],
      ['role:manager', { principal: 'os:2', roles: ['managers', 'role:manager', 'Manager', ''] }, false],
      ['role:manager', { roles: ['approver', 'admin'] }, false],
      ['manager', { roles: ['manager'] }, true],
      ['role:', { roles: ['manager'] }, false],
      ['role:manager', { roles: ['manager'], tenant: 'other' }, false],
    ];
    for (const [approver, who, may] of table) {
      expect([approver, who, accept(who, { approver })]).toEqual([approver, who, may]);
      // Who may not approve may not reject either, or a stranger could block.
      expect(accept(who, { approver }, { decision: 'reject' })).toBe(may);
    }
  });
});

describe('how strong', () => {
  const order: Attestation[] = ['client', 'same_user', 'credential'];

  test('an answer is must reach what is required; a refusal needs nothing', () => {
    for (const [need, requiredAttestation] of order.entries()) {
      for (const [had, attestation] of order.entries()) {
        const who = { attestation, channel: 'terminal' } as const;
        expect(accept(who, { requiredAttestation })).toBe(had >= need);
        expect(accept(who, { requiredAttestation }, { decision: 'reject', latencyMs: 1 })).toBe(true);
      }
    }
  });

  test('an accept in under a second, or from a client that answers by itself, counts for low risk only', () => {
    const risks: Risk[] = ['low', 'medium', 'high', 'critical'];
    for (const risk of risks) {
      expect(accept({}, { risk }, { latencyMs: 999 })).toBe(risk === 'low');
      expect(accept({}, { risk }, { latencyMs: 1000 })).toBe(true);
      expect(accept({ clientName: 'headless-runner' }, { risk })).toBe(risk === 'low');
      expect(accept({}, { risk }, { latencyMs: 1, decision: 'reject' })).toBe(true);
    }
  });

  test('that holds for every question put through a client, whatever its channel', () => {
    const risk = 'medium';
    for (const channel of ['elicitation', 'url', 'terminal', 'console', 'tool'] as const) {
      expect(accept({ channel }, { risk }, { latencyMs: 999 })).toBe(false);
      expect(accept({ channel, clientName: 'auto-accept' }, { risk })).toBe(false);
    }
    for (const channel of ['elicitation', 'url'] as const) {
      const attestation = 'credential';
      expect(accept({ channel, attestation }, { risk }, { latencyMs: 999 })).toBe(false);
    }
    expect(accept({ channel: 'terminal', attestation: 'same_user' }, { risk }, { latencyMs: 1 })).toBe(true);
  });

  test('a decline in under a quarter of a second was not shown to anybody', () => {
    const declined = (latencyMs: number): Delivery => ({ kind: 'declined_by_client', latencyMs });
    const fast = { kind: 'not_shown', why: 'too_fast' };
    for (const channel of ['elicitation', 'url'] as const) {
      expect(asShown(answerer({ channel }), declined(249))).toMatchObject(fast);
      expect(asShown(answerer({ channel }), declined(Number.NaN))).toMatchObject(fast);
      expect(asShown(answerer({ channel }), declined(250))).toEqual(declined(250));
    }
    const person = answerer({ channel: 'terminal', attestation: 'same_user' });
    expect(asShown(person, declined(1))).toEqual(declined(1));
  });

  test('a time that is no number is not a slow one', () => {
    expect(accept({}, {}, { latencyMs: Number.NaN })).toBe(false);
    expect(accept({}, {}, { latencyMs: -1 })).toBe(false);
  });
});
