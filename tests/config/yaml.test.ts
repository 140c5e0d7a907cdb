// Hostile and careless YAML: always one CONFIGURATION_ERROR with a place, never a crash, never a guess.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Problems } from '../../src/config/problems.ts';
import { MAX_YAML_BYTES } from '../../src/config/scan.ts';
import { readYaml } from '../../src/config/yaml.ts';
import { verifies } from '../e2e/verifies.ts';
import { directoryWith, load, refusal, refusalAt } from './fixture.ts';

async function read(text: string): Promise<{ value: unknown; problems: string[] }> {
  const problems = new Problems();
  const file = await readYaml('x.yaml', text, '/c/x.yaml', problems);
  const shown = problems.list().map((p) => `${p.line}:${p.column} ${p.path} ${p.message}`);
  return { value: file?.value, problems: shown };
}

const refusals: [name: string, text: string, problem: string][] = [
  ['a tag', 'a: !!js/function "x"\n', '1:4 / has a tag; tags are not accepted'],
  [
    'a known tag',
    'a:\n  b: !!str 1\n',
    '2:12 /a/b has the tag "tag:yaml.org,2002:str"; tags are not accepted',
  ],
  ['a custom tag', 'a: !secret 1\n', '1:4 / has a tag; tags are not accepted'],
  ['a duplicate key', 'a:\n  b: 1\n  b: 2\n', '3:3 /a/b stands twice in one mapping'],
  ['a second document', 'a: 1\n---\nb: 2\n', '2:1 / begins a second document; a file holds one'],
  [
    'a merge key',
    'x: 1\ny:\n  <<: {a: 1}\n',
    '3:3 /y/<< is a merge key, which is not accepted; write the keys out',
  ],
  ['__proto__', 'a:\n  "__proto__": {b: 1}\n', '2:3 /a/__proto__ is a reserved key'],
  ['constructor', 'constructor: 1\n', '1:1 /constructor is a reserved key'],
  ['not a number', 'a: [1, .nan]\n', '1:8 /a/1 is not a finite number'],
  ['infinity', 'a: -.inf\n', '1:4 /a is not a finite number'],
  ['a number too large', 'a: 1e400\n', '1:4 /a is not a finite number'],
  ['an unsafe integer', 'a: 9007199254740993\n', '1:4 /a is an integer beyond 2^53'],
  [
    'a leading zero',
    'a: 0123\n',
    '1:4 /a is written 0123, which readers do not agree on; write it in decimal, or quote it',
  ],
  [
    'a number as key',
    'a:\n  1: x\n',
    '2:3 /a has the key 1, which is not text; put it in quotes if it is meant',
  ],
  [
    'a mapping as key',
    '? {a: 1}\n: 2\n',
    '1:3 / has the key, which is not text; put it in quotes if it is meant',
  ],
  [
    'a directive',
    '%YAML 1.1\n---\na: yes\n',
    '1:1 / begins with a directive (%YAML or %TAG); directives are not accepted',
  ],
  ['an unknown alias', 'a: *x\n', '1:4 /a refers to the anchor "x", which does not exist'],
  ['an empty file', '', '1:1 / Config at /c/x.yaml must be a mapping at the top level'],
  ['comments only', '# nothing\n', '1:1 / Config at /c/x.yaml must be a mapping at the top level'],
  ['a list', '- a\n', '1:1 / Config at /c/x.yaml must be a mapping at the top level'],
  ['a scalar', 'policy\n', '1:1 / Config at /c/x.yaml must be a mapping at the top level'],
  ['deep flow', `a:\n  ${'['.repeat(20_000)}\n`, '2:51 / is nested deeper than 48 levels'],
  ['deep mappings', 'a: ' + '{a: '.repeat(20_000), '1:196 / is nested deeper than 48 levels'],
  ['brackets hidden behind comments', '[ # ]\n'.repeat(4_000), '49:1 / is nested deeper than 48 levels'],
  [
    'deep blocks',
    '- '.repeat(20_000),
    '1:1 / is nested deeper than 48 levels or indented by more than 128 columns',
  ],
  [
    'deep keys',
    '? '.repeat(20_000),
    '1:1 / is nested deeper than 48 levels or indented by more than 128 columns',
  ],
  [
    'deep indentation',
    Array.from({ length: 200 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
    '129:1 / is nested deeper than 48 levels or indented by more than 128 columns',
  ],
  [
    'text that reorders',
    'a: 1\nb: "x\u202ey"\n',
    '2:6 / holds the invisible or control character U+202E; write it as an escape in double quotes',
  ],
  [
    'a lone carriage return',
    '# all is said\ra: 1\nb: 2\r\n',
    '1:14 / holds the invisible or control character U+000D; write it as an escape in double quotes',
  ],
  [
    'a line separator',
    'b: 2\n# all is said\u2028a: 1\n',
    '2:14 / holds the invisible or control character U+2028; write it as an escape in double quotes',
  ],
  [
    'a null character',
    'a: "\0"\n',
    '1:5 / holds the invisible or control character U+0000; write it as an escape in double quotes',
  ],
  ['a file too large', `a: "${'x'.repeat(MAX_YAML_BYTES)}"`, '1:1 / is larger than 262144 bytes'],
];

describe('reading YAML', () => {
  for (const [name, text, problem] of refusals) {
    test(`refuses ${name} and says where`, async () => {
      expect(await read(text)).toEqual({ value: undefined, problems: [problem] });
    });
  }

  test('refuses block nesting within the indentation limit by its depth', async () => {
    const text = Array.from({ length: 60 }, (_, at) => `${' '.repeat(at)}a:`).join('\n');
    expect((await read(text)).problems).toEqual([
      expect.stringMatching(/^48:48 .* is nested deeper than 48 levels$/),
    ]);
  });

  test('says where a syntax error is', async () => {
    const { value, problems } = await read('a: 1\nb: [1,\nc: 2\n');
    expect(value).toBeUndefined();
    expect(problems[0]).toMatch(/^3:1 \/ is not YAML: /);
  });

  test('reads brackets in quotes and comments as text', async () => {
    const text = `# ${'['.repeat(200)}\na: '${'['.repeat(200)}'\nb: |\n  ${'{'.repeat(200)}\n`;
    expect((await read(text)).problems).toEqual([]);
  });

  test('expands a few aliases and refuses the twenty-first', async () => {
    const list = (count: number): string => `a: &x [1]\nb:\n${'  - *x\n'.repeat(count)}`;
    expect((await read(list(20))).value).toEqual({ a: [1], b: Array.from({ length: 20 }, () => [1]) });
    expect((await read(list(21))).problems).toEqual(['23:5 /b/20 is one alias too many; a file may use 20']);
  });

  test('refuses an alias bomb and an alias to itself', async () => {
    const bomb = Array.from({ length: 9 }, (_, at) =>
      at === 0
        ? 'a0: &a0 [x, x, x]'
        : `a${at}: &a${at} [${Array(9)
            .fill(`*a${at - 1}`)
            .join(', ')}]`,
    ).join('\n');
    expect((await read(bomb)).problems).toEqual([expect.stringContaining('one alias too many')]);
    expect((await read('a: &x {b: *x}\n')).problems).toEqual([
      expect.stringMatching(/nested deeper|one alias too many/),
    ]);
  });

  test('keeps words that older YAML read as something else', async () => {
    const { value } = await read('a: yes\nb: "0123"\nc: null\nd: ~\ne: true\nf: 1_000\ng: 12:30\n');
    expect(value).toEqual({ a: 'yes', b: '0123', c: null, d: null, e: true, f: '1_000', g: '12:30' });
  });

  test('survives the order that ends the process in the parser alone: an error, then deep text', async () => {
    for (const unit of ['[', '{a: ', '- ', '? ', '[ # ]\n', "['", '["']) {
      expect((await read('a: [}')).problems.length, unit).toBeGreaterThan(0);
      expect((await read(unit.repeat(20_000))).problems.length, unit).toBeGreaterThan(0);
    }
  });

  test('handles the largest file of nothing but errors in bounded time', async () => {
    const { problems } = await read('a: b: c\n'.repeat(32_000));
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(21);
  }, 20_000);

  test('never crashes on random text', async () => {
    const piece = fc.constantFrom(
      ...[
        'a: ',
        '- ',
        '\n',
        '  ',
        '[',
        ']',
        '{',
        '}',
        '&x ',
        '*x',
        '!t ',
        '? ',
        ': ',
        '|',
        '>',
        '"',
        "'",
        '#',
        '---\n',
        '...',
        '<<: ',
        '%',
        '@',
        '`',
        '\t',
        '__proto__: ',
        '.inf',
        '0x1',
        '\\',
        '\u0000',
        'é',
        '\ud800',
      ],
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 60 }).map((all) => all.join('')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (sample) => {
        const { value, problems } = await read(sample);
        expect((value === undefined) === problems.length > 0).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });
});

describe('a directory', () => {
  test('with any random file in place of policy.yaml is refused, and nothing else happens', async () => {
    const directory = await directoryWith();
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
        await writeFile(join(directory, 'policy.yaml'), text);
        const { error } = await refusalAt(directory);
        expect(error.code).toBe('CONFIGURATION_ERROR');
      }),
      { numRuns: 60 },
    );
  });

  verifies(
    ['CV-07'],
    'with an unknown file or root key is refused, with a guess at what was meant',
    async () => {
      const { problems } = await refusal({
        'polcy.yaml': 'a: 1\n',
        'approvals.yml': 'a: 1\n',
        'other.yaml': 'a: 1\n',
        'rollout.yaml': 'rollout: {}\n',
        'agent.yaml': (text) => `${text}aproved_capabilities: []\n`,
      });
      expect(problems.map((p) => [p.file, p.path, p.message.replace(/; known files:.*/, '')])).toEqual([
        [
          'agent.yaml',
          '/aproved_capabilities',
          'unknown key "aproved_capabilities"; did you mean "approved_capabilities"?',
        ],
        ['approvals.yml', '/', 'is not a configuration file; did you mean "approvals.yaml"?'],
        ['other.yaml', '/', 'is not a configuration file'],
        ['polcy.yaml', '/', 'is not a configuration file; did you mean "policy.yaml"?'],
        ['rollout.yaml', '/', 'rollout.yaml is not supported yet: nothing would read it'],
      ]);
    },
  );

  test('needs its three files and takes defaults for the others', async () => {
    const { problems } = await refusal({
      'agent.yaml': undefined,
      'policy.yaml': undefined,
      'capabilities.yaml': undefined,
    });
    const missing = problems.filter((p) => p.message.startsWith('is required')).map((p) => p.file);
    expect(missing).toEqual(['agent.yaml', 'capabilities.yaml', 'policy.yaml']);
    const config = await load({
      'runtime.yaml': undefined,
      'identity.yaml': undefined,
      'approvals.yaml': undefined,
    });
    expect(config.models).toEqual({ default: '', profiles: {} });
    expect(config.identity.stdio).toEqual({ tenant: 'local', roles: [], scopes: [] });
    expect(config.approvals.defaultReviewer).toBe('manager');
    expect(config.runtime).toMatchObject({ maxToolHops: 3, elicitationWaitMs: 25000 });
  });

  test('that does not exist, is a file, or holds what is no file is refused', async () => {
    expect((await refusalAt('/nowhere/at/all')).error.message).toBe(
      '.:1:1 /: the configuration directory /nowhere/at/all does not exist or cannot be read',
    );
    const directory = await directoryWith();
    await rm(join(directory, 'policy.yaml'));
    await mkdir(join(directory, 'policy.yaml'));
    const { problems } = await refusalAt(directory);
    expect(problems[0]).toMatchObject({ file: 'policy.yaml', message: 'is not a regular file' });
    await writeFile(join(directory, 'approvals.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]));
    const second = await refusalAt(directory);
    expect(second.problems.map((p) => p.message)).toContain('is not UTF-8 text');
  });
});
