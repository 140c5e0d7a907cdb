// Owns the proof that a call's record says every rule that spoke about it, what decided first.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { PolicyRule } from '../../src/config/types.ts';
import { decisionsIn, recordView } from '../../src/inspect/views.ts';
import { decidedFacts } from '../../src/kernel/evidence/records.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, createPackRig, rigConfig } from '../pack/rig.ts';
import { gateOf, input as decisionInput } from './policy/fixtures.ts';
import { approved, CALLER, CANARY, createRig, PERSON, REJECT } from './rig.ts';
import type { Rig } from './rig.ts';
import { capability, look, note, pay, sampleConfig } from './sample-config.ts';

const read = capability('read', {
  inputSchema: { type: 'object', properties: { count: { type: 'number' } } },
  pathArguments: [{ pointer: '/path', access: 'read' }],
  scopes: [{ type: 'path', pattern: '{sandbox}/**', access: 'read' }],
});

function rigOf(): Rig {
  const config = sampleConfig({ capabilities: [look, note, pay, read] });
  config.policy.registry.denied = ['read'];
  const big: PolicyRule = {
    ...config.policy.workspace.rules[0]!,
    id: 'big',
    tools: ['pay'],
    decision: 'approval_required',
    reason: 'money moves',
  };
  config.policy.workspace.rules.push(big, { ...big, id: 'also-big' });
  return createRig({ config });
}

/** What every record of the session and its inspection say of one call, by type of record. */
async function told(rig: Rig, type: string): Promise<{ record: JsonObject; list: unknown }> {
  const records = (await rig.records()).filter((one) => one.header.type === type);
  const line = recordView(records.at(-1)!);
  return { record: line, list: decisionsIn(line)[0]?.decisions };
}

verifies(
  ['PO-06'],
  'allowed, denied, waiting, approved or rejected, a call keeps its decisions with ids, reasons and policy digest',
  async () => {
    const rig = rigOf();
    await rig.call('note', {});
    const allowed = await told(rig, 'call_started');
    expect(allowed.record).toMatchObject({ policy_digest: 'sha256:policy', aliases: ['all', 'cap_110'] });
    expect(allowed.record).not.toHaveProperty('decisions'); // the list of one is the decision itself
    const one = {
      policy_id: 'all',
      rule_id: 'capability_rule',
      layer: 'workspace',
      decision: 'allow',
      reason: 'sample',
    };
    expect(allowed.list).toEqual([one]);

    await rig.call('read', { path: `/etc/${CANARY}`, count: 'many' });
    const denied = await told(rig, 'call_denied');
    expect(denied.record['policy_digest']).toBe('sha256:policy');
    expect(denied.record['decisions']).toMatchObject([
      {
        policy_id: 'PG4',
        rule_id: 'tool_registry',
        layer: 'kernel',
        decision: 'deny',
        reason: "read is on the registry's denied list",
      },
      { policy_id: 'PG4', rule_id: 'tool_registry', decision: 'deny' },
      { policy_id: 'PG2', rule_id: 'sandbox_path', decision: 'deny' },
      { policy_id: 'PG5', rule_id: 'arg_schema', decision: 'deny' },
    ]);
    expect(denied.list).toEqual(denied.record['decisions']);
    expect(JSON.stringify(denied)).toContain('/etc/');
    expect(JSON.stringify(denied)).not.toContain(CANARY);

    const demands = [
      {
        policy_id: 'big',
        rule_id: 'capability_rule',
        layer: 'workspace',
        decision: 'approval_required',
        reason: 'money moves',
      },
      {
        policy_id: 'also-big',
        rule_id: 'capability_rule',
        layer: 'workspace',
        decision: 'approval_required',
        reason: 'money moves',
      },
      {
        policy_id: 'cap_201',
        rule_id: 'capability_rule',
        layer: 'kernel',
        decision: 'approval_required',
        reason: 'the catalog asks for approval of pay',
      },
    ];
    await approved(rig, 'pay', { amount: 1 });
    expect((await told(rig, 'call_waiting')).list).toEqual(demands);
    await rig.call('pay', { amount: 1 });
    expect((await told(rig, 'call_started')).list).toEqual(demands);

    const asked = await rig.call('pay', { amount: 2 });
    if (asked.status !== 'waiting_approval') throw new Error(asked.status);
    await rig.kernel.deliver(PERSON, asked.approval.subject.approvalId, REJECT, CALLER.actor);
    await rig.call('pay', { amount: 2 });
    const [refusal, ...rest] = (await told(rig, 'call_denied')).list as JsonObject[];
    expect(refusal).toMatchObject({ decision: 'deny', reason: 'a person rejected exactly this call' });
    expect(rest).toEqual(demands);

    // What would remain of a call that no rule forbids and none allows, such as one of a tool outside the catalog.
    const gate = await gateOf({
      policy: { registry: { allowed: ['gone'], denied: [] } },
      approved: ['gone'],
    });
    const call = decisionInput({ tool: 'gone' });
    const [unknown] = gate.decide(call).others;
    expect(unknown?.aliases).toEqual(['cap_404']);
    expect(decidedFacts(gate.decideWithout(call, unknown!))).toMatchObject({
      decision: 'deny',
      aliases: ['kernel.policy.runtime-fallback', 'kernel_error'],
      policy_digest: 'sha256:policy',
    });
  },
);

verifies(
  { partial: ['PO-06'] },
  'a call that its turn refused, and that has no record of its own, keeps its decisions in the record of the turn',
  async () => {
    const config = rigConfig({ capabilities: [look, note, read] });
    config.policy.registry.denied = ['read'];
    const rig = createPackRig({ config });
    rig.model.next(asks('read', { path: '/etc/hosts' }));
    const turn = await rig.ok({
      messages: [{ role: 'user', content: 'hi' }],
      tool_catalog: [{ name: 'look' }],
    });
    const completed = (await rig.records(turn.session_id)).find(
      (one) => one.header.type === 'turn_completed',
    );
    expect(completed?.evidence).toMatchObject({
      value: {
        requested_tools: [
          {
            tool_call_id: turn.tool_call_id,
            policy_digest: 'sha256:policy',
            decisions: [
              { policy_id: 'PG4', rule_id: 'tool_registry', decision: 'deny' },
              { policy_id: 'PG4', rule_id: 'tool_registry', decision: 'deny' },
              { policy_id: 'PG2', rule_id: 'sandbox_path', decision: 'deny' },
            ],
          },
        ],
      },
    });
    expect(turn.decision).not.toHaveProperty('decisions');
  },
);

test('what a decision quotes is redacted before it is cut: no piece of a secret stays at the cut', async () => {
  const web = capability('web', { urlArguments: ['/at'] });
  const strict = {
    type: 'object',
    properties: { path: {}, at: {} },
    additionalProperties: false,
  };
  const config = sampleConfig({
    capabilities: [
      { ...read, inputSchema: strict },
      { ...web, inputSchema: strict },
    ],
  });
  config.policy.registry.allowed = ['read', 'web'];
  const rig = createRig({ config });
  const half = CANARY.slice(0, CANARY.length / 2);
  const upTo = (most: number, before: string): string =>
    before.padEnd(most - half.length, 'x') + CANARY + 'y'.repeat(50);
  await rig.call('read', { path: upTo(200, '../') });
  await rig.call('web', { at: upTo(200, 'https://evil.test/') });
  await rig.call('web', { [upTo(198, '')]: 1 });
  await rig.call(upTo(120, 'made-up'), {});
  const denied = (await rig.records()).filter((one) => one.header.type === 'call_denied').map(recordView);
  const quoted = denied.map(({ rule_id, reasons, aliases, attributes }) => ({
    ...{ rule_id, reasons, aliases, attributes },
  }));
  expect(quoted.map((one) => one.rule_id)).toEqual([
    'sandbox_path',
    'url_allowlist',
    'arg_schema',
    'tool_registry',
  ]);
  expect(JSON.stringify(quoted)).toContain('(cut, ');
  expect(JSON.stringify(quoted)).not.toContain(half.slice(0, 6));
});
