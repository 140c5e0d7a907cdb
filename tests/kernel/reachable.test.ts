// What a caller may reach at all, as the kernel that serves calls says it.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { capability, config, input, layer, rule, SCHEMA } from './policy/fixtures.ts';
import { contextOf, createRig, sessionOf } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

verifies(
  ['PO-22'],
  'the governed list holds what is reachable, whole and with its approval mark, and follows pins and intents',
  async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `desk:${letter}`);
    const intents = {
      any: { id: 'any', description: '', allowTools: ids, approvalRequiredTools: [] },
      read: { id: 'read', description: '', allowTools: ['desk:a'], approvalRequiredTools: [] },
    };
    const rig = createRig({
      config: {
        ...sampleConfig(),
        ...config({
          capabilities: ids.map((id) =>
            capability({
              id,
              inputSchema: SCHEMA,
              ...(id === 'desk:b' ? { approval: { approver: 'manager' } } : {}),
            }),
          ),
          approved: ids.slice(0, 5),
          intents,
          policy: {
            registry: { allowed: ids, denied: ['desk:c'] },
            workspace: layer('workspace', 'w', {
              rules: [
                rule(),
                rule({ id: 'no', tools: ['desk:e'], decision: 'deny' }),
                rule({ id: 'maybe', tools: ['desk:a'], decision: 'deny', when: 'args.x == 1' }),
              ],
            }),
          },
        }),
      },
    });
    for (const id of ids) rig.pins.set(id, { state: 'pinned', digest: id });
    rig.pins.set('desk:d', { state: 'unpinned' });
    const { kernel, clock } = rig;
    const { caller, agentId, session: given } = input();
    const session = { ...given, intent: 'any' };
    const context = contextOf({ caller, agentId });
    const list = (over = {}): Promise<unknown[]> =>
      kernel
        .tools(context, sessionOf(clock, { ...session, ...over }))
        .then((tools) => tools.map((tool) => [tool.definition.id, tool.approvalRequired]));
    const tools = await kernel.tools(context, sessionOf(clock, session));
    expect(tools[0]?.definition.inputSchema).toEqual(SCHEMA);
    expect(await list()).toEqual([
      ['desk:a', false],
      ['desk:b', true],
    ]);
    expect(await list({ intent: 'read' })).toEqual([['desk:a', false]]);
    rig.pins.set('desk:a', { state: 'quarantined', reason: 'changed' });
    expect(await list()).toEqual([['desk:b', true]]);
    expect(await kernel.tools(contextOf({ caller, agentId: 'another' }), sessionOf(clock, session))).toEqual(
      [],
    );
  },
);
