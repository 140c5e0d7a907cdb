import fc from 'fast-check';
import { expect, test } from 'vitest';
import { registerNames } from '../../../src/kernel/catalog/catalog.ts';
import { inventoryDrift } from '../../../src/kernel/catalog/drift.ts';
import { portableName } from '../../../src/base/tool-name.ts';
import { createToolNames } from '../../../src/kernel/catalog/names.ts';
import type { ToolDefinition } from '../../../src/kernel/execution/executor.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, config, SCHEMA } from '../policy/fixtures.ts';

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
  expect(portableName('my-srv:do-it')).toBe('my_srv_do_it');
  const id = fc.tuple(
    fc.stringMatching(/^[A-Za-z0-9._-]{1,60}$/),
    fc.stringMatching(/^[A-Za-z0-9._/-]{1,90}$/),
  );
  fc.assert(
    fc.property(id, ([server, tool]) => {
      const canonical = `${server}:${tool}`;
      const name = portableName(canonical);
      expect(name).toMatch(/^[A-Za-z0-9_]{1,64}$/);
      expect(portableName(canonical)).toBe(name);
      const names = createToolNames([canonical]);
      expect(names.canonical(name)).toBe(canonical);
      expect(names.canonical(canonical)).toBe(canonical);
    }),
  );
});

verifies({ partial: ['CI-07'] }, 'a name that stands twice, clashes or is ours is refused', () => {
  expect(() => createToolNames(['a:b', 'a:b'])).toThrow(/twice/);
  expect(() => createToolNames(['a:b_c', 'a_b:c'])).toThrow(/share the name/);
  expect(() => createToolNames(['a:b', 'a_b'])).toThrow(/share the name/);
  expect(() => createToolNames(['a:b-c', 'a:b_c'])).toThrow(/share the name/);
  expect(() => createToolNames(['a b:c'])).toThrow(/malformed/);
  expect(() =>
    registerNames(config({ capabilities: [capability({ id: 'agent:x', server: 'agent' })] })),
  ).toThrow(/reserved/);
  expect(registerNames(config(), ['agent:execute-turn']).canonical('agent_execute_turn')).toBe(
    'agent:execute-turn',
  );
});

verifies(['CI-05'], 'drift names what is missing on either side and what changed', () => {
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
  // Nobody has agreed to anything yet: that is denied, but it is no drift. One tool less than what was pinned is.
  const two = config({ capabilities: [capability(), extra], approved: ['desk:create_ticket', 'desk:other'] });
  expect(inventoryDrift(two, []).has_drift).toBe(false);
  expect(inventoryDrift(two, [definition()]).changed).toEqual([
    { tool: 'desk:other', what: 'no such tool was pinned of the server desk' },
  ]);
});
