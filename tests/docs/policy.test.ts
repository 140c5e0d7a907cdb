import { describe, expect, test } from 'vitest';
import { RULE_ORDER } from '../../src/kernel/policy/decision.ts';
import { LIMIT_KINDS } from '../../src/kernel/policy/limit-facts.ts';
import { compileCel } from '../../src/kernel/policy/cel.ts';
import { blocks, quoted, read, table } from './read.ts';
import { follow, openShell } from './shell.ts';

const page = read('docs/policy.md');
const rules = table(page, 'rule');

describe('docs/policy.md', () => {
  test('lists the rules of the gate in their order', () => {
    expect(rules.map(([rule = '']) => quoted(rule)[0])).toEqual([...RULE_ORDER]);
  });

  test('lists the aliases that the source gives them, and no other', () => {
    const folder = 'src/kernel/policy/';
    const source = ['access-rules', 'argument-rules', 'configured-rules', 'limit-facts', 'plan', 'gate']
      .map((name) => read(`${folder}${name}.ts`))
      .join('\n');
    const listed = rules.flatMap(([, , aliases = '']) => quoted(aliases));
    for (const alias of listed) expect(source, alias).toContain(`'${alias}'`);
    const given = /'((?:run|cap)_\d{3}|PG\d|F\d|(?:agent-runtime|kernel)\.(?:policy|scope)\.[a-z-]+)'/g;
    for (const [, alias] of source.matchAll(given)) expect(listed).toContain(alias);
  });

  test('lists each kind of limit with the attributes that its denial has', () => {
    const listed = table(page, '`policy.limit_kind`').map((row) => row.flatMap((cell) => quoted(cell)));
    const given = LIMIT_KINDS.map(({ kind, name }) => [kind, `policy.${name}`, `policy.max_${name}`]);
    expect(listed).toEqual(given);
  });

  test('lists fields that CEL knows', () => {
    for (const [variable = '', fields = ''] of table(page, 'variable')) {
      const [name = ''] = quoted(variable);
      if (name === 'args') continue;
      expect(quoted(fields).length).toBeGreaterThan(3);
      for (const field of quoted(fields)) {
        compileCel('docs', `${name}.${field} == ${name}.${field}`);
      }
      expect(() => compileCel('docs', `${name}.nothing == 1`)).toThrow();
    }
  });

  test('every example does what the page says', { timeout: 120_000 }, async () => {
    const shell = await openShell();
    await shell.run('agent-runtime init');
    const examples = blocks(page);
    expect(examples.filter((block) => block.lang === 'console').length).toBeGreaterThan(4);
    for (const block of examples) await follow(shell, block);
  });
});
