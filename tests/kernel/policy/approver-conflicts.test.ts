// Owns the proof that demands for approval which no single approval can meet are told before any call meets them.
import { expect, test } from 'vitest';
import type { PolicyRule } from '../../../src/config/types.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import { capability, config, decide, layer, rule, withRules } from './fixtures.ts';
import type { ConfigParts } from './fixtures.ts';

const ask = (id: string, approver: string | undefined, over: Partial<PolicyRule> = {}): PolicyRule =>
  rule({ id, decision: 'approval_required', ...(approver === undefined ? {} : { approver }), ...over });

const told = (parts: ConfigParts): unknown => createGate(config(parts)).conflicts();

const catalog = { capabilities: [capability({ approval: { approver: 'manager' } })] };
const IF = { when: 'args.count > 1' };

test('a rule that asks another than the catalog is told, with or without a condition', async () => {
  const parts = { ...withRules(ask('lead', 'role:lead')), ...catalog };
  expect(told(parts)).toEqual([
    {
      tool: 'desk:create_ticket',
      demands: [
        { by: 'the catalog', approver: 'role:manager' },
        { by: 'rule lead', approver: 'role:lead' },
      ],
      always: true,
    },
  ]);
  expect((await decide(parts)).aliases).toContain('approver_conflict');
  expect(told({ ...withRules(ask('lead', 'other', IF)), ...catalog })).toMatchObject([
    { demands: [{}, { by: 'rule lead', approver: 'other' }], always: false },
  ]);
});

test('what one approval can meet is not told', () => {
  for (const rules of [
    [ask('same', 'role:manager')],
    [ask('own', 'principal')],
    [ask('nobody', undefined)],
    [rule({ id: 'no', decision: 'deny' })],
  ]) {
    expect(told({ ...withRules(...rules), ...catalog })).toEqual([]);
  }
  // Two conditions may never hold together, and a rule about another tool meets nothing here.
  expect(told(withRules(ask('a', 'role:a', IF), ask('b', 'role:b', { when: 'args.count < 1' })))).toEqual([]);
  expect(told({ ...withRules(ask('a', 'role:a', { tools: ['desk:other'] })), ...catalog })).toEqual([]);
});

test('rules of one way through the layers meet, those of two lanes never', () => {
  const lanes = (one: PolicyRule, two: PolicyRule): ConfigParts => {
    const { policy } = withRules(rule());
    const of = (name: string, own: PolicyRule) => ({ ...layer('lane', name), rules: [own] });
    return { policy: { ...policy, lanes: { one: of('one', one), two: of('two', two) } } };
  };
  expect(told(lanes(ask('a', 'role:a'), ask('b', 'role:b')))).toEqual([]);
  const made = lanes(ask('a', 'role:a'), ask('b', 'role:a'));
  const task = { ...layer('task', 'agent-session'), rules: [ask('t', 'other', IF)] };
  expect(told({ policy: { ...made.policy, tasks: { 'agent-session': task } } })).toMatchObject([
    { demands: [{ by: 'rule a' }, { by: 'rule t' }], always: false },
    { demands: [{ by: 'rule b' }, { by: 'rule t' }], always: false },
  ]);
});
