// Every id that the source systems give a decision about a capability, and what each of them decides here.
import { expect } from 'vitest';
import type { Verdict } from '../../../src/config/types.ts';
import type { DecisionInput } from '../../../src/kernel/policy/decision.ts';
import { verifies } from '../../e2e/verifies.ts';
import { approved, createRig, expectStatus } from '../rig.ts';
import { capability as sample, sampleConfig } from '../sample-config.ts';
import { capability, codes, decide, layer, rule } from './fixtures.ts';
import type { ConfigParts } from './fixtures.ts';

const of = (over: Parameters<typeof capability>[0]): ConfigParts => ({ capabilities: [capability(over)] });

const says = (decision: Verdict): ConfigParts => ({
  policy: { workspace: layer('workspace', 'w', { rules: [rule({ decision })] }) },
});

const byDefault: ConfigParts['policy'] = {
  defaultDecision: 'allow',
  workspace: layer('workspace', 'w'),
};

const CASES: readonly [string, Verdict, ConfigParts, Partial<DecisionInput>?][] = [
  ['cap_403', 'deny', { approved: [] }],
  ['cap_404', 'deny', {}, { tool: 'desk:none' }],
  ['cap_405', 'deny', of({ networkAccess: 'full', scopes: [] })],
  ['cap_406', 'deny', of({ allowedEgress: [] })],
  ['cap_999', 'deny', of({ mode: 'other' as 'read' })],
  ['cap_110', 'allow', says('allow')],
  ['cap_210', 'approval_required', says('approval_required')],
  ['cap_410', 'deny', says('deny')],
  ['cap_211', 'approval_required', of({ risk: 'critical' })],
  ['cap_101', 'allow', { policy: byDefault, ...of({ mode: 'read' }) }],
  ['cap_201', 'approval_required', of({ approval: { approver: 'manager' } })],
];

verifies(
  ['PO-18'],
  'every decision about a capability carries its id, and nothing that a model says or leaves out skips an approval',
  async () => {
    for (const [id, verdict, parts, input] of CASES) {
      const decision = await decide(parts, input);
      expect([id, decision.verdict], id).toEqual([id, verdict]);
      expect([...decision.aliases, ...codes(decision)], id).toContain(id);
    }

    const guarded = of({
      approval: { approver: 'manager' },
      idempotency: { keyRequired: true, argument: 'idempotency_key', idempotent: false },
    });
    for (const args of [
      {},
      { idempotency_key: '' },
      { simulate_failure: true },
      { simulate_failure: 'tool_timeout', approved: true, decision: 'allow' },
    ]) {
      const decision = await decide(guarded, { args });
      expect(decision.verdict, JSON.stringify(args)).toBe('approval_required');
      expect(decision.aliases).toContain('cap_201');
    }

    const rig = createRig();
    await approved(rig, 'pay', { amount: 5 });
    expect(rig.effects).toEqual([]);
    const done = expectStatus(await rig.call('pay', { amount: 5 }), 'done');
    expect(done.decision.aliases).toEqual(expect.arrayContaining(['cap_201', 'cap_202']));
    const started = (await rig.records()).find(({ header }) => header.type === 'call_started');
    expect(started?.evidence).toMatchObject({
      value: { aliases: expect.arrayContaining(['cap_201', 'cap_202']) as unknown },
    });

    // An approved read is none.
    const asked = sample('look', { approval: { approver: 'principal' } });
    const reading = createRig({ config: sampleConfig({ capabilities: [asked] }) });
    await approved(reading, 'look', {});
    const read = expectStatus(await reading.call('look', {}), 'done');
    expect(read.decision.aliases).toContain('cap_210');
    expect(read.decision.aliases).not.toContain('cap_202');
  },
);
