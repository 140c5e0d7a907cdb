import { expect, test } from 'vitest';
import type { Caller } from '../../src/kernel/identity.ts';
import type { Store } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, configFor, IO, open, OTHER, place } from './rig.ts';
import type { Bench } from './rig.ts';

const OPERATOR = { ...CALLER, roles: ['operator'] };

async function everything(store: Store): Promise<unknown> {
  const rows = await Promise.all(
    (['session', 'request', 'approval', 'run', 'idempotency'] as const).map((kind) =>
      store.list({ kind, tenant: CALLER.tenant, limit: 200 }),
    ),
  );
  return { rows, records: await store.scan({ limit: 1000 }) };
}

async function look({ runtime }: Bench): Promise<unknown[]> {
  const decisions = [];
  for (const tool of ['look', 'note', 'pay', 'forbidden', 'nowhere']) {
    decisions.push((await runtime.explainPolicy(OPERATOR, { tool, args: { n: 1 } })).decision);
  }
  expect((await runtime.exposedTools(CALLER)).map((one) => one.id)).toEqual([
    'look',
    'note',
    'pay',
    'ticket',
  ]);
  await runtime.listCapabilities(CALLER, {});
  await runtime.getHealth(CALLER);
  return decisions;
}

verifies(
  { partial: ['PO-22'] },
  'explaining and listing tools writes nothing, before the first call and after it',
  async () => {
    const bench = await open(await place());
    const { store } = bench.runtime;
    const before = await everything(store);
    const decisions = await look(bench);
    expect(decisions).toEqual(['allow', 'allow', 'approval_required', 'deny', 'deny']);
    expect(await everything(store)).toEqual(before);
    await bench.runtime.callCapability(CALLER, { tool: 'note', args: {} }, IO);
    const after = await everything(store);
    expect(after).not.toEqual(before);
    expect(await look(bench)).toEqual(decisions);
    expect(await everything(store)).toEqual(after);
  },
);

test('an operator is told the one thing that would change a decision, in the words of the wire', async () => {
  const { runtime } = await open(await place());
  const told = await runtime.explainPolicy(OPERATOR, { tool: 'pay', args: { n: 1 } });
  const { flip } = told as unknown as { flip: { single: object; causes: object[] } };
  expect(Object.keys(flip.single)).toEqual(['rule_id', 'layer', 'source', 'reason', 'becomes']);
  expect(flip.causes).toEqual([flip.single]);
  expect(await runtime.explainPolicy(CALLER, { tool: 'pay', args: { n: 1 } })).not.toHaveProperty('flip');
});

test('a decision is explained in the session it is asked for, with what that session has used', async () => {
  const at = await place();
  const config = configFor(at);
  const policy = { ...config.policy, loopBudget: { maxCalls: 1 } };
  const bench = await open(at, { config: { ...config, policy } });
  const asked = await bench.ask('note', { n: 1 });
  await bench.run(asked);
  const question = { tool: 'note', args: { n: 2 } };
  expect(await bench.runtime.explainPolicy(CALLER, question)).toMatchObject({ decision: 'allow' });
  expect(
    await bench.runtime.explainPolicy(CALLER, { ...question, session_id: asked.session_id }),
  ).toMatchObject({ decision: 'deny', rule_id: 'loop_budget' });
  for (const session of [asked.session_id, 'ses_0']) {
    await expect(
      bench.runtime.explainPolicy(OTHER, { ...question, session_id: session }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
});

test('the limits that a session was begun with count, as they do for its calls', async () => {
  const bench = await open(await place());
  const limits = { max_tool_calls_per_session: 1 };
  const asked = await bench.ask('look', { n: 1 }, { limits });
  const { session_id } = asked;
  const question = { tool: 'look', args: { n: 2 }, session_id };
  expect((await bench.runtime.explainPolicy(CALLER, question)).decision).toBe('allow');
  expect((await bench.run(asked)).status).toBe('done');
  expect(await bench.runtime.explainPolicy(CALLER, question)).toMatchObject({
    decision: 'deny',
    rule_id: 'loop_budget',
    attributes: { 'policy.limit_kind': 'calls', 'policy.max_calls': 1 },
  });
});

test("an operator who asks about somebody else's session is told what its owner would be told", async () => {
  const at = await place();
  const config = configFor(at);
  const [all] = config.policy.workspace.rules;
  const ops = { ...all!, id: 'ops', tools: ['note'], decision: 'deny' as const };
  const loopBudget = { perPrincipal: { maxCalls: 1, windowSeconds: 3600 } };
  const when = '"operator" in identity.roles';
  const workspace = { ...config.policy.workspace, rules: [all!, { ...ops, when }] };
  const bench = await open(at, {
    config: { ...config, policy: { ...config.policy, loopBudget, workspace } },
  });
  const asked = await bench.ask('look', { n: 1 });
  const question = { args: { n: 2 }, session_id: asked.session_id };
  const boss = { ...OTHER, tenant: CALLER.tenant, principal: 'boss', roles: ['operator'] };
  const told = async (who: Caller, tool: string): Promise<unknown> => {
    const { decision, rule_id } = await bench.runtime.explainPolicy(who, { ...question, tool });
    return [decision, rule_id];
  };
  expect(await told(boss, 'note')).toEqual(['allow', 'capability_rule']);
  await bench.run(asked);
  expect(await told(boss, 'look')).toEqual(['deny', 'loop_budget']);
  for (const tool of ['look', 'note'])
    expect(await told(boss, tool)).toEqual(await told({ ...boss, ...CALLER }, tool));
});

test('the roles of an owner are those that the host of the runtime gives them', async () => {
  const at = await place();
  const config = configFor(at);
  const [all] = config.policy.workspace.rules;
  const when = '"auditor" in identity.roles';
  const auditors = { ...all!, id: 'auditors', tools: ['note'], decision: 'deny' as const, when };
  const workspace = { ...config.policy.workspace, rules: [all!, auditors] };
  const bench = await open(at, {
    config: { ...config, policy: { ...config.policy, workspace } },
    callerOf: (tenant, principal) => ({ ...CALLER, tenant, principal, actor: 'worker', roles: ['auditor'] }),
  });
  const { session_id } = await bench.turn();
  const boss = { ...OTHER, principal: 'boss', roles: ['operator'] };
  const told = await bench.runtime.explainPolicy(boss, { tool: 'note', args: {}, session_id });
  expect(told).toMatchObject({ decision: 'deny', aliases: ['auditors', 'cap_410'] });
});
