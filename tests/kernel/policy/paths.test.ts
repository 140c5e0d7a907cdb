import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/base/json.ts';
import type { RuntimeConfig } from '../../../src/config/types.ts';
import type { Decision, ResolvedPath } from '../../../src/kernel/policy/decision.ts';
import type { Gate } from '../../../src/kernel/policy/gate.ts';
import { pathArgumentsOf } from '../../../src/kernel/policy/paths.ts';
import { resolvePaths } from '../../../src/kernel/policy/resolve-paths.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, config, gateOf, input } from './fixtures.ts';

let base = '';
let root = '';
const tool = capability({
  networkAccess: 'none',
  scopes: [
    { type: 'path', pattern: '{sandbox}/**', access: 'write' },
    { type: 'path', pattern: '{sandbox}/in/**', access: 'read' },
  ],
});

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'paths-')));
  root = join(base, 'sb');
  for (const folder of ['sb/a/b', 'sb/in', 'sb2', 'outside/deep', 'sb/.agent-runtime']) {
    mkdirSync(join(base, folder), { recursive: true });
  }
  writeFileSync(join(base, 'outside/secret'), 's');
  writeFileSync(join(root, 'a/file'), 'f');
  linkSync(join(base, 'outside/secret'), join(root, 'hard'));
  symlinkSync('../outside', join(root, 'out'));
  symlinkSync('../outside/deep', join(root, 'deep'));
  symlinkSync('a/b', join(root, 'inner'));
  symlinkSync('/nowhere/at/all', join(root, 'dangling'));
  symlinkSync('loop', join(root, 'loop'));
  symlinkSync('sb', join(base, 'alias'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
});
afterAll(() => {
  rmSync(base, { recursive: true, force: true });
});

const rooted = (at: string): RuntimeConfig => ({
  ...config({ policy: { sandbox: { pathTemplate: at, root: at } } }),
  servers: {},
});

async function decidePath(args: JsonObject, gate?: Gate): Promise<Decision> {
  const own =
    gate ?? (await gateOf({ capabilities: [tool], policy: { sandbox: { pathTemplate: root, root } } }));
  return own.decide(input({ args, paths: await resolvePaths(args, tool, rooted(root)) }));
}

describe('sandbox_path', () => {
  verifies({ partial: ['PO-09'] }, 'whatever really leads out, or cannot be judged, is denied', async () => {
    const evil = [
      '../outside/secret',
      '/etc/passwd',
      'a/../../outside/secret',
      'out/secret',
      'out/new-file',
      'inner/../../../outside/secret',
      'deep/../secret', // the kernel goes to outside/secret, text would say sb/secret
      'a/missing/../x',
      `${base}/sb2/x`,
      '../sb2',
      'dangling',
      'loop/x',
      'a/file/x',
      'fifo',
      'hard',
      '/dev/null',
      '/proc/self/root/etc/passwd',
      '~/x',
      '~root/x',
      '',
      'a\0b',
      'a\nb',
      'a\u200bb',
      'a\\..\\..\\x',
      'file:///etc/passwd',
      'x'.repeat(256),
      `${'x/'.repeat(2100)}y`,
      '.agent-runtime/runtime.db',
      'a/.agent-runtime/x',
      '.Agent-Runtime/x',
      '.agent-runtime./x',
    ];
    for (const given of evil) {
      const decision = await decidePath({ path: given });
      expect(decision.verdict, JSON.stringify(given.slice(0, 60))).toBe('deny');
      expect(decision.ruleId).toBe('sandbox_path');
      expect(decision.aliases).toContain('PG2');
      expect(Object.keys(decision.attributes).sort()).toEqual([
        'policy.resolved_path',
        'policy.sandbox_root',
        'policy.target_path',
        'policy.tool',
      ]);
    }
    for (const good of [
      'a/file',
      'a/new',
      'new/deep/x',
      'inner/x',
      'inner/../y',
      './a//file',
      '.',
      `${root}/a/file`,
      'in/..',
    ]) {
      expect((await decidePath({ path: good })).reasons, good).toEqual(['configured']);
    }
  });

  test('the text of a link followed by `..` is not what the kernel does', async () => {
    const [found] = await resolvePaths({ path: 'deep/../secret' }, tool, rooted(root));
    expect(found?.resolved).toBe(join(base, 'outside/secret'));
  });

  test('a root that leads through a link is spoken of as configured', async () => {
    const alias = join(base, 'alias');
    const [found] = await resolvePaths({ path: 'a/file' }, tool, rooted(alias));
    expect(found?.resolved).toBe(`${alias}/a/file`);
  });

  test('what stands beneath a path is one as far as it looks like it, and so is the key of a map', async () => {
    const evil: JsonObject[] = [
      { file: { name: '/etc/passwd' } },
      { file: { name: ' ../../.bashrc' } },
      { file: { at: { place: '~/x' } } },
      { file: { name: 'file:///etc/passwd' } },
      { file: { name: 'C:\\x' } },
      { file: { name: 'out/secret' } }, // through a link
      { file: { name: '.agent-runtime/runtime.db' } },
      { file: { name: 'a\n/../../outside/x' } },
      { file: { data: { name: '/etc/passwd' } } },
      { files: { '../../.bashrc': 'text' } },
      { files: { 'out/secret': { mode: 1 } } },
      { files: [{ '/etc/passwd': true }] },
      { files: { 'a.txt': '/etc/passwd' } },
    ];
    for (const args of evil) {
      expect((await decidePath(args)).ruleId, JSON.stringify(args)).toBe('sandbox_path');
    }
    const scoped = capability({
      networkAccess: 'none',
      scopes: [{ type: 'path', pattern: '{sandbox}/in/**', access: 'write' }],
    });
    const gate = await gateOf({
      capabilities: [scoped],
      policy: { sandbox: { pathTemplate: root, root } },
    });
    const good: JsonObject[] = [
      { file: { name: 'report.txt', type: 'text/plain', at: '2024-01-01T00:00:00Z', size: 3 } },
      { file: { path: 'in/x', content: '../x is text' } },
      { files: [{ path: 'in/x', content: '// a program\n', sha: 'abc' }] },
      { files: { 'in/a.ts': "// as it is\nimport '../b';\n" } },
      { source: { type: 'base64', data: '/9j/4AAQ' } },
      { source: { title: 'What it says:\nnothing', id: 'urn:x:1' } },
      { destination: { iban: 'DE89370400440532013000', note: 'see a/b' } },
    ];
    for (const args of good) {
      const paths = await resolvePaths(args, scoped, rooted(root));
      expect(gate.decide(input({ args, paths })).reasons, JSON.stringify(args)).toEqual(['configured']);
    }
    // A guess counts as one only where the arguments say so.
    const [given] = await resolvePaths({ file: { name: 'a/file' } }, scoped, rooted(root));
    const paths = [{ ...given, pointer: '/path', given: 'a/file' } as ResolvedPath];
    expect(gate.decide(input({ args: { path: 'a/file' }, paths })).ruleId).toBe('sandbox_path');
  });

  test('arguments are found by name, in lists, and by declaration', () => {
    const pointers = (args: JsonObject, over = {}): string[] =>
      pathArgumentsOf(args, capability(over)).map(({ pointer, access }) => `${pointer} ${access}`);
    const args = {
      path: 'a',
      source_file: 'b',
      nested: [{ outputDir: 'c' }],
      paths: ['d', ['e']],
      profile: 'x',
      content: '/etc',
    };
    expect(pointers(args)).toEqual([
      '/path write',
      '/source_file write',
      '/nested/0/outputDir write',
      '/paths/0 write',
      '/paths/1/0 write',
    ]);
    expect(
      pointers(
        { name: 'a', path: 'b' },
        { mode: 'read', pathArguments: [{ pointer: '/name', access: 'write' }] },
      ),
    ).toEqual(['/name write', '/path read']);
    expect(
      pointers({ xs: [{ at: 'q' }] }, { pathArguments: [{ pointer: '/xs/-/at', access: 'read' }] }),
    ).toEqual(['/xs/0/at read']);
    const plain: Partial<ReturnType<typeof capability>> = { scopes: [] };
    const { server: _server, ...bare } = capability(plain);
    expect(pathArgumentsOf({ path: 'a' }, bare)).toEqual([]);
  });

  verifies(
    { partial: ['PO-09'] },
    'a path that nobody resolved, or resolved as another, is denied',
    async () => {
      const gate = await gateOf({ capabilities: [tool], policy: { sandbox: { pathTemplate: root, root } } });
      const resolved = join(root, 'a/file');
      const ok = { pointer: '/path', given: 'a/file', resolved, access: 'write' as const };
      const decide = (paths: (typeof ok)[]): string =>
        gate.decide(input({ args: { path: 'a/file' }, paths })).ruleId;
      expect(decide([ok])).toBe('capability_rule');
      expect(decide([])).toBe('sandbox_path');
      expect(decide([{ ...ok, given: 'a/other' }])).toBe('sandbox_path');
      expect(decide([{ ...ok, pointer: '/other' }])).toBe('sandbox_path');
      expect(decide([{ ...ok, resolved: `${root}/a/../../x` }])).toBe('sandbox_path');
      expect(decide([{ ...ok, resolved: `${root}2/x` }])).toBe('sandbox_path');
      const { resolved: _resolved, ...unknown } = ok;
      expect(decide([unknown as typeof ok])).toBe('sandbox_path');
    },
  );

  test('read and write are scoped apart', async () => {
    const reader = { ...tool, mode: 'read' as const };
    const gate = await gateOf({ capabilities: [reader], policy: { sandbox: { pathTemplate: root, root } } });
    const decide = async (path: string): Promise<string> =>
      gate.decide(input({ args: { path }, paths: await resolvePaths({ path }, reader, rooted(root)) }))
        .ruleId;
    expect(await decide('in/x')).toBe('capability_rule');
    expect(await decide('a/file')).toBe('sandbox_path');
  });
});
