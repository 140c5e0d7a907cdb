import fc from 'fast-check';
import { expect, test } from 'vitest';
import { registerNames, registerSchemas } from '../../../src/kernel/catalog/catalog.ts';
import { definitionDigest, inventoryDrift } from '../../../src/kernel/catalog/drift.ts';
import { governedTools } from '../../../src/kernel/catalog/governed.ts';
import { createToolNames, portableName } from '../../../src/kernel/catalog/names.ts';
import type { ToolDefinition } from '../../../src/kernel/execution/executor.ts';
import { SchemaCache } from '../../../src/kernel/policy/arg-schema.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, config, gateOf, input, layer, rule, SCHEMA } from '../policy/fixtures.ts';

const definition = (over: Partial<ToolDefinition> = {}): ToolDefinition => ({
  id: 'desk:create_ticket',
  server: 'desk',
  name: 'create_ticket',
  description: 'makes a ticket',
  inputSchema: SCHEMA,
  annotations: { readOnlyHint: false },
  pin: { state: 'pinned', digest: 'sha256:x' },
  ...over,
});

test('portable names are short, plain, deterministic and lead back', () => {
  expect(portableName('agent:execute-turn')).toBe('agent_execute_turn');
  expect(portableName('desk:create_ticket')).toBe('desk_create_ticket');
  expect(portableName('my-srv:do-it')).toBe('my-srv_do-it');
  const id = fc.tuple(
    fc.stringMatching(/^[A-Za-z0-9._-]{1,60}$/),
    fc.stringMatching(/^[A-Za-z0-9._/-]{1,90}$/),
  );
  fc.assert(
    fc.property(id, ([server, tool]) => {
      const canonical = `${server}:${tool}`;
      const name = portableName(canonical);
      expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
      expect(portableName(canonical)).toBe(name);
      const names = createToolNames([canonical]);
      expect(names.canonical(name)).toBe(canonical);
      expect(names.canonical(canonical)).toBe(canonical);
    }),
  );
});

verifies(
  ['CI-07'],
  'a name that stands twice, clashes or is ours is refused, and so is an uncheckable schema',
  async () => {
    expect(() => createToolNames(['a:b', 'a:b'])).toThrow(/twice/);
    expect(() => createToolNames(['a:b_c', 'a_b:c'])).toThrow(/share the name/);
    expect(() => createToolNames(['a:b', 'a_b'])).toThrow(/share the name/);
    expect(() => createToolNames(['a b:c'])).toThrow(/malformed/);
    expect(() =>
      registerNames(config({ capabilities: [capability({ id: 'agent:x', server: 'agent' })] })),
    ).toThrow(/reserved/);
    expect(registerNames(config(), ['agent:execute-turn']).canonical('agent_execute_turn')).toBe(
      'agent:execute-turn',
    );
    const loops = { $ref: '#' };
    const problems = await registerSchemas(new SchemaCache(), config(), [definition({ inputSchema: loops })]);
    expect(problems).toEqual([
      { tool: 'desk:create_ticket', why: 'a `$ref` leads back to itself at the same value' },
    ]);
    expect(await registerSchemas(new SchemaCache(), config(), [])).toEqual([
      { tool: 'desk:create_ticket', why: 'it has no input schema' },
    ]);
  },
);

verifies({ partial: ['CI-05'] }, 'drift names what is missing on either side and what changed', () => {
  expect(inventoryDrift(config(), [definition()])).toEqual({
    has_drift: false,
    missing_from_catalog: [],
    missing_from_inventory: [],
    changed: [],
  });
  const extra = capability({ id: 'desk:other', inputSchema: { type: 'object' } });
  const drifted = config({
    capabilities: [capability(), extra],
    approved: ['desk:create_ticket', 'desk:gone'],
  });
  const definitions = [
    definition({ pin: { state: 'quarantined', reason: 'description changed' } }),
    definition({ id: 'desk:other' }),
  ];
  expect(inventoryDrift(drifted, definitions)).toEqual({
    has_drift: true,
    missing_from_catalog: ['desk:gone'],
    missing_from_inventory: ['desk:other'],
    changed: [
      { tool: 'desk:create_ticket', what: 'quarantined: description changed' },
      { tool: 'desk:other', what: 'its input schema is not the one in the catalog' },
    ],
  });
  expect(definitionDigest(definition())).not.toBe(definitionDigest(definition({ description: 'other' })));
});

verifies(
  ['PO-22'],
  'the governed list holds what is reachable, with schema, annotations and approval mark',
  async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `desk:${letter}`);
    const capabilities = ids.map((id) =>
      capability({ id, ...(id === 'desk:b' ? { approval: { approver: 'manager' } } : {}) }),
    );
    const parts = {
      capabilities,
      approved: ids.slice(0, 5),
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
    };
    const definitions = ids.map((id) =>
      definition({ id, ...(id === 'desk:d' ? { pin: { state: 'unpinned' } } : {}) }),
    );
    const { caller, agentId, session } = input();
    const tools = governedTools(await gateOf(parts), config(parts), [...definitions].reverse(), {
      caller,
      agentId,
      session,
    });
    expect(tools.map((tool) => [tool.definition.id, tool.approvalRequired])).toEqual([
      ['desk:a', false],
      ['desk:b', true],
    ]);
    expect(tools[0]?.definition.inputSchema).toBe(SCHEMA);
    expect(tools[0]?.definition.annotations).toEqual({ readOnlyHint: false });
    const intents = {
      read: { id: 'read', description: '', allowTools: ['desk:a'], approvalRequiredTools: [] },
    };
    const narrowed = governedTools(await gateOf({ ...parts, intents }), config(parts), definitions, {
      caller,
      agentId,
      session: { ...session, intent: 'read' },
    });
    expect(narrowed.map((tool) => tool.definition.id)).toEqual(['desk:a']);
  },
);
