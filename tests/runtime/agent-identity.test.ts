// The agent's identity and inventory over one workspace: what a runtime of another agent may go on with, and what not.
import { expect } from 'vitest';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { RuntimeHandle } from '../../src/runtime/options.ts';
import { load, refusal } from '../config/fixture.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks } from '../pack/rig.ts';
import { APPROVE, CALLER, configFor, IO, open, PERSON, place, says } from './rig.ts';
import type { Bench, Place } from './rig.ts';

const USER = [{ role: 'user' as const, content: 'please' }];

function configOf(at: Place, agent: Partial<RuntimeConfig['agent']>): RuntimeConfig {
  const config = configFor(at);
  return { ...config, agent: { ...config.agent, ...agent } };
}

async function records(
  { store }: RuntimeHandle,
  id: string,
): Promise<{ type: string; evidence: Record<string, unknown> }[]> {
  const found = await store.read({ tenant: CALLER.tenant, aggregate: 'session', id });
  return found.map(({ header, evidence }) => ({
    type: header.type,
    evidence: evidence.state === 'present' ? evidence.value : {},
  }));
}

const DENIED = { code: 'POLICY_DENIED', details: { policy_id: 'run_003', reason: 'agent_identity_missing' } };

/** The five fields, each of which the file must hold. */
async function expectFields(): Promise<void> {
  const { agent } = await load();
  expect(agent).toEqual({
    id: 'support-triage-ref',
    displayName: expect.stringMatching(/./) as string,
    ownerTeam: expect.stringMatching(/./) as string,
    runtimePrincipal: expect.stringMatching(/./) as string,
    approvedCapabilities: expect.arrayContaining(['desk:search_docs']) as string[],
  });
  for (const [field, path] of [
    ['id', '/agent/id'],
    ['display_name', '/agent/display_name'],
    ['owner_team', '/agent/owner_team'],
    ['runtime_principal', '/agent/runtime_principal'],
    ['approved_capabilities', '/approved_capabilities'],
  ] as const) {
    const without = new RegExp(`^ *${field}:.*\\n(?: *- .*\\n)*`, 'm');
    const { problems } = await refusal({ 'agent.yaml': (text) => text.replace(without, '') });
    expect(problems, field).toContainEqual(expect.objectContaining({ path, message: 'is required' }));
  }
}

/** What is not in the inventory is neither offered nor run, whoever asks for it. */
async function expectInventory(at: Place): Promise<void> {
  const bench = await open(at, { config: configOf(at, { approvedCapabilities: ['look'] }) });
  const direct = (tool: string): Promise<unknown> =>
    bench.runtime.callCapability(CALLER, { tool, args: {} }, IO);
  expect(await direct('note')).toMatchObject({ status: 'denied', decision: { rule_id: 'inventory' } });
  expect(await direct('look')).toMatchObject({ status: 'done' });
  const asked = await bench.ask('note', {});
  expect(asked.decision).toMatchObject({ decision: 'deny', rule_id: 'inventory' });
  expect(await bench.run(asked)).toMatchObject({ status: 'denied', decision: { rule_id: 'inventory' } });
  const offered = bench.model.inputs.map(({ tools }) => tools.map(({ name }) => name));
  expect(offered).toEqual([['look']]);
  expect(bench.effects.map(({ capability }) => capability.id)).toEqual(['look']);
}

/** A managed session whose call was approved, so that there is something to go on with. */
async function managedSession({ runtime, model }: Bench): Promise<string> {
  model.next(asks('pay'));
  const { session_id } = await runtime.managed.create(CALLER, { executeTurnInput: { messages: USER } });
  const waits = await runtime.managed.run(CALLER, session_id, {}, IO);
  if (waits.kind !== 'approval_required') throw new Error(`not waiting: ${waits.kind}`);
  expect((await runtime.deliverApproval(PERSON, waits.pending_request_id, APPROVE)).moved).toBe(true);
  return session_id;
}

/** Two nodes, one after the other; recorded, and nothing of it has run. */
async function workflow({ runtime }: Bench): Promise<string> {
  const turn = { execute_turn_input: { messages: USER } };
  const nodes = [
    { id: 'one', ...turn },
    { id: 'two', depends_on: ['one'], ...turn },
  ];
  const { session_id } = await (await runtime.workflows()).create(CALLER, { workflow: { nodes } });
  return session_id;
}

/** A session goes on under the agent that it was minted for, and under no other, however it is carried on. */
async function expectOwnAgent(at: Place): Promise<void> {
  const one = await open(at, { config: configOf(at, { id: 'agent-1' }) });
  const asked = await one.ask('note', { n: 1 });
  const { session_id } = asked;
  const managed = await managedSession(one);
  const steps = await workflow(one);

  const two = await open(at, { config: configOf(at, { id: 'agent-2' }), fakeClock: one.clock });
  const refused = await two.runtime.executeTurn(CALLER, { session_id, messages: USER }, IO);
  expect(refused).toMatchObject({ error: DENIED, session_id });
  const call = await two.run(asked);
  expect(call).toMatchObject({ status: 'denied', decision: { rule_id: 'run_precheck' } });
  await expect(two.runtime.managed.run(CALLER, managed, {}, IO)).rejects.toMatchObject(DENIED);
  const others = await two.runtime.workflows();
  await expect(others.resume(CALLER, steps, {}, IO)).rejects.toMatchObject(DENIED);
  expect([two.model.inputs, two.effects]).toEqual([[], []]);
  const last = (await records(two.runtime, session_id)).slice(-2);
  expect(last.map(({ type }) => type)).toEqual(['turn_refused', 'call_denied']);
  expect(last[0]?.evidence).toMatchObject({ agent_id: 'agent-2', status: 'denied' });

  const again = await open(at, { config: configOf(at, { id: 'agent-1' }), fakeClock: one.clock });
  again.model.next(says('here I am'));
  expect(await again.turn({ session_id })).toMatchObject({ assistant_message: 'here I am' });
  const mine = await again.ask('note', { n: 2 }, { session_id });
  expect((await again.run(mine)).status).toBe('done');
  again.model.next(says('paid'));
  expect(await again.runtime.managed.run(CALLER, managed, {}, IO)).toMatchObject({ kind: 'completed' });
  again.model.next(says('one'), says('two'));
  const own = await again.runtime.workflows();
  expect(await own.resume(CALLER, steps, {}, IO)).toMatchObject({ kind: 'completed', agent_id: 'agent-1' });
  expect(again.effects.map(({ capability }) => capability.id)).toEqual(['note', 'pay']);
  const started = (await records(again.runtime, session_id)).find(({ type }) => type === 'call_started');
  expect(started?.evidence).toMatchObject({ agent_id: 'agent-1', runtime_principal: 'svc-agent' });
}

verifies(
  ['CI-02'],
  'the five fields of an agent are required, its inventory gates every call, and a session goes on under its own agent only',
  async () => {
    await expectFields();
    await expectInventory(await place());
    await expectOwnAgent(await place());
  },
);
