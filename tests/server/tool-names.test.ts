import { expect, test } from 'vitest';
import { portableName } from '../../src/base/tool-name.ts';
import { listedName, nameTable } from '../../src/server/tool-names.ts';

test.each([
  ['agent:execute-turn', 'agent_execute_turn'],
  ['files:read', 'files_read'],
  ['files:a.b/c d', 'files_a_b_c_d'],
])('%s is portable as %s', (id, name) => {
  expect(portableName(id)).toBe(name);
});

test('a long name is cut to 64 with digits that come from its id alone', () => {
  const id = `server:${'very-long-'.repeat(10)}`;
  expect(portableName(id)).toBe('server_very_long_very_long_very_long_very_long_very_lon_5b653d69');
  expect(portableName(id)).toHaveLength(64);
  expect(portableName(`${id}x`)).not.toBe(portableName(id));
});

test('both spellings lead to the id; equal spellings of two tools are refused', () => {
  const table = nameTable(['agent:get-health', 'plain']);
  expect([...table]).toEqual([
    ['agent:get-health', 'agent:get-health'],
    ['agent_get_health', 'agent:get-health'],
    ['plain', 'plain'],
  ]);
  expect(() => nameTable(['a:b_c', 'a_b:c'])).toThrow(/a:b_c and a_b:c would share the name a_b_c/);
  expect(() => nameTable(['a:b', 'a_b'])).toThrow(/share/);
  expect(() => nameTable(['a:b', 'a:b'])).toThrow(/share/);
});

test('auto follows the name of the client and nothing else', () => {
  expect(listedName('a:b', 'auto', undefined)).toBe('a:b');
  expect(listedName('a:b', 'auto', 'some-host')).toBe('a:b');
  expect(listedName('a:b', 'auto', 'claude-code')).toBe('a_b');
  expect(listedName('a:b', 'portable', undefined)).toBe('a_b');
  expect(listedName('a:b', 'canonical', 'claude-code')).toBe('a:b');
});
