// The tools that policy leaves reachable are judged once for each who and what, and anew when a definition changed.
import { expect, test } from 'vitest';
import type { KernelDeps } from '../../src/kernel/deps.ts';
import type { ToolDefinition } from '../../src/kernel/execution/executor.ts';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';
import type { RunContext } from '../../src/kernel/identity.ts';
import type { ReachInput } from '../../src/kernel/policy/gate.ts';
import { createReachable } from '../../src/kernel/reachable.ts';
import { CALLER } from '../pack/rig.ts';

function definition(id: string, state: 'pinned' | 'quarantined' = 'pinned'): ToolDefinition {
  const pin = state === 'pinned' ? { state, digest: 'sha256:1' } : { state, reason: 'held' };
  return { id, name: id, description: '', inputSchema: {}, pin };
}

const SESSION = { id: 'ses_1', startedAt: 0, actor: 'a', lane: 'default', task: 'agent-session' };
const context = (over: object = {}): RunContext =>
  ({ caller: { ...CALLER, ...over }, agentId: 'agent', delegation: NO_DELEGATION }) as RunContext;

test('an answer is remembered for one identity and lane only, and while no definition changed', async () => {
  const known = new Map([definition('a'), definition('b')].map((one) => [one.id, one]));
  const judged: ReachInput[] = [];
  const deps = {
    config: { capabilities: { a: {}, b: {}, c: {} }, identity: { delegations: [] } },
    directory: { definition: (id: string) => known.get(id) },
    gate: {
      reach(input: ReachInput) {
        judged.push(input);
        const reachable =
          input.pin.state === 'pinned' && !(input.tool === 'b' && input.caller.principal === 'os:2');
        return { reachable, approvalRequired: false, found: [] };
      },
    },
  } as unknown as KernelDeps;
  const tools = createReachable(deps);
  const names = async (over?: object, lane = 'default'): Promise<string[]> =>
    (await tools(context(over), { ...SESSION, lane })).map((one) => one.definition.id);

  expect(await names()).toEqual(['a', 'b']);
  expect(await names()).toEqual(['a', 'b']);
  expect(judged).toHaveLength(3);
  expect(await names({ principal: 'os:2' })).toEqual(['a']);
  expect(await names({ roles: ['operator'] })).toEqual(['a', 'b']);
  expect(await names({}, 'night')).toEqual(['a', 'b']);
  expect(judged).toHaveLength(12);
  known.set('a', definition('a', 'quarantined'));
  expect(await names()).toEqual(['b']);
  known.delete('b');
  expect(await names()).toEqual([]);
});
