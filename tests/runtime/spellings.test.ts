// Shows that a spelling of a tool means the same at every door: to the model, to a host that calls directly, and to who asks.
import { expect, test } from 'vitest';
import { CALLER, configFor, IO, open, place } from './rig.ts';
import type { Bench } from './rig.ts';

/** `look` lies under `desk:look` too; the catalog calls `note` and `look` by one name. */
async function bench(): Promise<Bench> {
  const at = await place();
  const base = configFor(at);
  const { look, note } = base.capabilities;
  const desk = { ...look!, id: 'desk:look', name: 'glance' };
  const both = { look: { ...look!, name: 'same' }, note: { ...note!, name: 'same' }, 'desk:look': desk };
  const ids = Object.keys(both);
  return open(at, {
    config: {
      ...base,
      capabilities: both,
      agent: { ...base.agent, approvedCapabilities: ids },
      policy: { ...base.policy, registry: { allowed: ids, denied: [] } },
    },
  });
}

test.each([
  ['desk:look', 'desk:look', 'allow'],
  ['desk_look', 'desk:look', 'allow'],
  ['glance', 'desk:look', 'allow'],
  ['same', 'same', 'deny'],
  ['nothing', 'nothing', 'deny'],
])('%s means %s to everybody', async (spelling, id, decision) => {
  const { runtime, ask, effects } = await bench();
  const asked = await ask(spelling, {});
  expect(asked).toMatchObject({ requested_tool: { name: id }, decision: { decision } });
  expect(await runtime.explainPolicy(CALLER, { tool: spelling, args: {} })).toMatchObject({
    tool: id,
    decision,
  });
  const called = await runtime.callCapability(CALLER, { tool: spelling, args: {} }, IO);
  expect(called).toMatchObject({ tool: id, status: decision === 'allow' ? 'done' : 'denied' });
  expect(effects).toHaveLength(decision === 'allow' ? 1 : 0);
});
