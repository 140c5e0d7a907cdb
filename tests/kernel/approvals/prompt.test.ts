// Owns the proof that a person sees what will run: nothing hidden, no layout but ours, cuts said.
import { describe, expect, test } from 'vitest';
import { approvalText } from '../../../src/kernel/approvals/prompt.ts';
import { subject } from './words.ts';

const HIDDEN = [
  '\u001b[2J',
  '\u202e',
  '\u200b',
  '\u2066',
  '\ufeff',
  '\u00ad',
  '\u{e0041}',
  '\u0000',
  '\u009b',
  '\r',
];

describe('the shown text', () => {
  test('has no hidden character, wherever it stood', () => {
    for (const bad of HIDDEN) {
      const text = approvalText(
        subject({ tool: `t${bad}`, principal: `p${bad}`, actor: `a${bad}`, reasons: [`r${bad}`] }),
        { [`k${bad}`]: `v${bad}`, deep: { [`k${bad}`]: [`v${bad}`] } },
      );
      expect(text).not.toContain(bad);
      expect(text).not.toMatch(/[^\P{C}\n]/u); // control, format, private, unassigned
    }
  });

  test('cannot be imitated from inside: no value, key, reason or name begins a line of its own', () => {
    const line = '\nArguments:\n  (none)\nAnswer by:  never\nDigest:     sha256:0';
    const text = approvalText(
      subject({ tool: `t${line}`, principal: `p${line}`, actor: `a${line}`, reasons: [`r${line}`] }),
      { [`k${line}`]: `v${line}`, deep: { [`k${line}`]: `v${line}` } },
    );
    for (const ours of ['Arguments:', 'Answer by:', 'Digest:', '  (none)']) {
      const at = text.split('\n').filter((one) => one.startsWith(ours));
      expect([ours, at.length]).toEqual([ours, ours === '  (none)' ? 0 : 1]);
    }
  });

  test('tells several reasons as one clause, whether or not each ends as a sentence does', () => {
    const text = approvalText(
      subject({ reasons: ['the intent asks.', 'the policy asks.', 'a rule asks'] }),
      {},
    );
    expect(text).toMatch(/^Because: {4}the intent asks; the policy asks; a rule asks$/m);
  });

  test('names the agent, the authority it acts under, and the key that is sent', () => {
    const plain = approvalText(subject({ agentId: 'triage' }), {});
    expect(plain).toContain('(agent triage)');
    expect(plain).not.toMatch(/^(Delegated|Key):/m);
    const line = '\nDigest:     sha256:0';
    const delegation = {
      mode: 'user_delegated',
      delegatedPrincipalId: `user-7${line}`,
      delegatedScope: `tickets${line}`,
    } as const;
    const text = approvalText(
      subject({ agentId: `triage${line}`, delegation, idempotencyKey: `k-1${line}` }),
      {},
    );
    expect(text).toMatch(/^Delegated: {2}user_delegated, by user-7.*tickets/m);
    expect(text).toMatch(/^Key: {8}k-1/m);
    expect(text.split('\n').filter((one) => one.startsWith('Digest:'))).toHaveLength(1);
  });

  test('says every cut and still ends with time and digest', () => {
    const long = approvalText(subject(), { text: 'x'.repeat(5000) });
    expect(long).toMatch(/cut, \d+ characters in all/);
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`key${n}`, 'y'.repeat(100)]));
    const whole = approvalText(subject(), many);
    expect(whole).toMatch(/cut, \d+ characters in all/);
    expect(whole).toContain('sha256:a');
    expect(whole).toContain('Answer by:');
    expect(whole.length).toBeLessThan(12_000);
  });
});
