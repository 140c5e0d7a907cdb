// A cancel that reaches everything that still waits: sessions, approvals, and the connections that waited with them.
import { expect, test } from 'vitest';
import type { WorkflowDefinition } from '../../src/pack/workflows/definition.ts';
import type { TurnInput } from '../../src/pack/turn/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { relayRig } from './relay-rig.ts';
import type { RelayRig } from './relay-rig.ts';
import { CALLER, IO } from './rig.ts';

function asksTwice({ model }: RelayRig): void {
  model.next({
    text: '',
    toolCalls: [1, 2].map((steps) => ({
      ...{ id: `native-${steps}`, name: 'relay:progress', rawInput: JSON.stringify({ steps }) },
    })),
    finishReason: 'tool_calls',
  });
}

async function approvals({ runtime }: RelayRig): Promise<string[]> {
  const { items } = await runtime.store.list({ kind: 'approval', tenant: CALLER.tenant, limit: 20 });
  return items.map(({ status }) => status);
}

const TURN: TurnInput = { messages: [{ role: 'user', content: 'go' }] };

test('a session with two calls that wait on one server is canceled', async () => {
  const rig = await relayRig();
  await rig.run(await rig.ask('relay:echo', { text: 'a' }));
  asksTwice(rig);
  const waiting = await rig.runtime.managed.start(CALLER, { executeTurnInput: TURN }, {}, IO);
  expect(waiting.kind).toBe('approval_required');
  expect(await approvals(rig)).toEqual(['pending', 'pending']);
  expect((await rig.sessions())[0]).toMatchObject({ status: 'waiting_for_approval' });

  const canceled = await rig.runtime.managed.cancel(CALLER, waiting.session_id, 'not wanted');
  expect(canceled).toEqual({ status: 'canceled' });
  expect(await approvals(rig)).toEqual(['revoked', 'revoked']);
  expect((await rig.sessions())[0]).toMatchObject({ status: 'in_progress', approvals: [] });
});

verifies(
  ['WF-23'],
  'a workflow that is canceled ends its branches, takes back what they wait for, and frees their connection',
  async () => {
    const rig = await relayRig();
    await rig.run(await rig.ask('relay:echo', { text: 'a' }));
    const workflow: WorkflowDefinition = {
      nodes: ['one', 'other'].map((id) => ({ id, execute_turn_input: TURN })),
    };
    const workflows = await rig.runtime.workflows();
    asksTwice(rig);
    asksTwice(rig);
    const waiting = await workflows.start(CALLER, { workflow }, IO);
    expect(waiting.kind).toBe('approval_required');
    expect(await approvals(rig)).toEqual(['pending', 'pending', 'pending', 'pending']);
    expect(await workflows.cancel(CALLER, waiting.session_id, 'not wanted')).toEqual({ status: 'canceled' });
    const { items } = await rig.runtime.store.list({ kind: 'session', tenant: CALLER.tenant, limit: 20 });
    const canceled = items.filter(({ status }) => status === 'canceled');
    expect(canceled).toHaveLength(3); // the workflow and both branches
    expect(await approvals(rig)).toEqual(['revoked', 'revoked', 'revoked', 'revoked']);
    expect((await rig.sessions())[0]).toMatchObject({ status: 'in_progress', approvals: [] });
  },
);
