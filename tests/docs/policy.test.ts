import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RULE_ORDER } from '../../src/kernel/policy/decision.ts';
import { compileCel } from '../../src/kernel/policy/cel.ts';
import { blocks, quoted, read, ROOT, table } from './read.ts';
import type { Block } from './read.ts';

const page = read('docs/policy.md');
const rules = table(page, 'rule');

/** The command as the page types it, in a folder of its own. */
async function openShell(): Promise<{ folder: string; run: (line: string) => Promise<string> }> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'docs-')));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, 'work');
  const bin = join(root, 'bin');
  await mkdir(folder);
  await mkdir(bin);
  const main = join(ROOT, 'dist', 'cli', 'main.js');
  const script = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;
  await writeFile(join(bin, 'agent-runtime'), script, { mode: 0o755 });
  const env = {
    PATH: `${bin}:${process.env.PATH ?? ''}`,
    HOME: root,
    AGENT_RUNTIME_STATE: join(root, 'state'),
  };
  const run = (line: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn('sh', ['-c', line], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let out = '';
      let err = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
      child.on('error', reject);
      child.on('close', (code) => {
        resolve(code === 0 ? out : `exit ${String(code)}\n${err}`);
      });
    });
  return { folder, run };
}

/** Lines with `…` for what differs from machine to machine. */
function fits(expected: string): RegExp {
  const parts = expected.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^\\n]*')}$`);
}

/** A diff block: what it has without `+` must stand in the file exactly once, and becomes what it has without `-`. */
async function patch(path: string, diff: string): Promise<void> {
  const lines = diff.trimEnd().split('\n');
  const side = (left: string): string =>
    lines
      .filter((line) => !line.startsWith(left))
      .map((line) => `${line.slice(1)}\n`)
      .join('');
  const text = await readFile(path, 'utf8');
  expect(text.split(side('+')), `${path} holds once:\n${side('+')}`).toHaveLength(2);
  await writeFile(
    path,
    text.replace(side('+'), () => side('-')),
  );
}

async function follow(shell: Awaited<ReturnType<typeof openShell>>, block: Block): Promise<void> {
  const file = /^file=(\S+)$/.exec(block.info)?.[1];
  if (block.lang === 'console') {
    const [command = '', ...expected] = block.text.trimEnd().split('\n');
    expect(command.startsWith('$ agent-runtime ')).toBe(true);
    expect((await shell.run(command.slice(2))).trimEnd()).toMatch(fits(expected.join('\n')));
  } else if (file === undefined) {
    throw new Error(`a block that nothing runs: ${block.lang} ${block.info}`);
  } else if (block.lang === 'diff') {
    await patch(join(shell.folder, file), block.text);
  } else {
    await writeFile(join(shell.folder, file), block.text);
  }
}

describe('docs/policy.md', () => {
  test('lists the rules of the gate in their order', () => {
    expect(rules.map(([rule = '']) => quoted(rule)[0])).toEqual([...RULE_ORDER]);
  });

  test('lists the aliases that the source gives them, and no other', () => {
    const folder = 'src/kernel/policy/';
    const source = ['access-rules', 'argument-rules', 'configured-rules', 'limit-rules', 'plan', 'gate']
      .map((name) => read(`${folder}${name}.ts`))
      .join('\n');
    const listed = rules.flatMap(([, , aliases = '']) => quoted(aliases));
    for (const alias of listed) expect(source, alias).toContain(`'${alias}'`);
    const given = /'((?:run|cap)_\d{3}|PG\d|F\d|(?:agent-runtime|kernel)\.(?:policy|scope)\.[a-z-]+)'/g;
    for (const [, alias] of source.matchAll(given)) expect(listed).toContain(alias);
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
