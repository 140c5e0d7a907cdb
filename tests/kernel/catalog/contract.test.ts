// Owns the proof that a capability says what it is: permission, version, pack, description, and that they take part.
import { expect, test } from 'vitest';
import type { Capability, PolicyRule } from '../../../src/config/types.ts';
import { capabilityViews } from '../../../src/inspect/capabilities.ts';
import { load, refusal } from '../../config/fixture.ts';
import { verifies } from '../../e2e/verifies.ts';
import { rule } from '../policy/fixtures.ts';
import { CALLER, contextOf, createRig } from '../rig.ts';
import type { Rig } from '../rig.ts';
import { capability, sampleConfig } from '../sample-config.ts';

function rigWith(over: Partial<Capability>, ...rules: PolicyRule[]): Rig {
  const config = sampleConfig({ capabilities: [capability('tool', { mode: 'write', ...over })] });
  config.policy.registry.allowed.push('tool');
  config.policy.workspace.rules.push(...rules);
  return createRig({ config });
}

async function decided(rig: Rig, roles: string[] = []): Promise<string[]> {
  const { decision } = await rig.call('tool', {}, { context: contextOf({ caller: { ...CALLER, roles } }) });
  return [decision.verdict, ...decision.aliases.slice(0, 1)];
}

verifies(
  ['CI-08'],
  'every capability has permission, version, pack and description, rules decide by them, and a receipt has its version',
  async () => {
    const config = await load({
      'capabilities.yaml': (text) => text.replace('    version: 1.0.0\n', '    version: 2.1.0-rc.1\n'),
    });
    const directory = { definition: () => undefined, all: () => [] };
    const views = capabilityViews({ config, directory });
    expect(views.length).toBeGreaterThan(3);
    for (const view of views) {
      expect(['read', 'write', 'admin']).toContain(view.permission);
      expect(view.version).toMatch(/^\d+\.\d+\.\d+/);
      for (const key of ['pack', 'description']) expect(view[key], key).not.toBe('');
    }
    expect(views.find(({ name }) => name === 'search_docs')).toMatchObject({
      ...{ permission: 'read', version: '2.1.0-rc.1', pack: 'desk' },
      description: 'Search the support documentation.',
    });
    expect(views.find(({ name }) => name === 'create_ticket')).toMatchObject({
      ...{ permission: 'write', version: '0.0.0', pack: 'desk' },
    });

    expect(await decided(rigWith({ permission: 'admin' }))).toEqual(['deny', 'permission_admin']);
    expect(await decided(rigWith({ permission: 'admin' }), ['operator'])).toEqual(['allow', 'all']);
    const no = (when: string): PolicyRule => rule({ id: 'no', decision: 'deny', when });
    expect(await decided(rigWith({ permission: 'write' }, no('tool.permission == "write"')))).toEqual([
      ...['deny', 'no'],
    ]);
    const old = no('tool.pack == "old-desk" && tool.version.startsWith("0.")');
    expect(await decided(rigWith({ pack: 'old-desk', version: '0.9.1' }, old))).toEqual(['deny', 'no']);
    const later = rigWith({ pack: 'old-desk', version: '1.0.0' }, old);
    expect(await decided(later)).toEqual(['allow', 'all']);
    const started = (await later.records()).find(({ header }) => header.type === 'call_started');
    expect(started?.evidence).toMatchObject({ value: { pack: 'old-desk', capability_version: '1.0.0' } });
  },
);

test('a tool of no server is of the pack that is the agent, and a version that is none is refused', async () => {
  const own =
    'owner: o, mode: read, transport: in_process, tool_principal: p, risk_tier: low, network_access: none';
  const config = await load({
    'capabilities.yaml': (text) => `${text}  own:\n    { ${own}, input_schema: { type: object } }\n`,
  });
  expect(config.capabilities.own).toMatchObject({ pack: config.agent.id, version: '0.0.0' });
  for (const version of ['1.0', 'latest', '01.0.0', '1.0.0+build']) {
    const { problems } = await refusal({
      'capabilities.yaml': (text) => text.replace('    version: 1.0.0\n', `    version: ${version}\n`),
    });
    expect(problems).toMatchObject([{ path: '/capabilities/search_docs/version' }]);
  }
});
