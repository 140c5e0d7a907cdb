import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, onTestFinished, test } from 'vitest';
import { blocks, read, ROOT } from './read.ts';
import { fits, follow, openShell } from './shell.ts';

const readme = blocks(read('README.md'));

async function folder(): Promise<string> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'readme-')));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'work'));
  return root;
}

function node(cwd: string, args: readonly string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const { PATH, HOME } = process.env;
    const child = spawn(process.execPath, args, {
      cwd,
      env: { PATH, HOME, TMPDIR: cwd },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
    }
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, text });
    });
  });
}

/** The words of the one command line that all hosts get, or undefined where a block is none. */
function commandOf(block: { lang: string; text: string }): string[] | undefined {
  const words = /"?\/path\/to\/agent-runtime-pack[^\]\n]*/.exec(block.text)?.[0];
  return words
    ?.replaceAll(/[",]/g, '')
    .split(/\s+/)
    .filter((word) => word !== '');
}

test('every host gets the same command line, in a form that parses', () => {
  const lines = readme.flatMap((block) => commandOf(block) ?? []).join(' ');
  const one = '/path/to/agent-runtime-pack/dist/cli/main.js serve --workspace WS --tool-names portable';
  const seen = lines.replaceAll(/--workspace \S+/g, '--workspace WS');
  expect(seen).toBe(Array.from({ length: 4 }, () => one).join(' '));
  for (const { lang, text } of readme.filter((block) => block.info === 'host')) {
    if (lang === 'json') expect(() => JSON.parse(text) as unknown).not.toThrow();
  }
});

test(
  'a client that starts this command line gets the tools the page names',
  { timeout: 60_000 },
  async () => {
    const root = await folder();
    const words = commandOf(readme.find((block) => block.lang === 'toml') ?? { lang: '', text: '' }) ?? [];
    const args = words.map((word) =>
      word.replace('/path/to/agent-runtime-pack', ROOT).replace('/path/to/project', join(root, 'work')),
    );
    const { PATH = '', HOME = '' } = process.env;
    const env = { PATH, HOME, AGENT_RUNTIME_STATE: join(root, 'state') };
    const transport = new StdioClientTransport({ command: process.execPath, args, env, stderr: 'ignore' });
    const client = new Client({ name: 'reader', version: '1.0.0' });
    await client.connect(transport);
    try {
      const names = (await client.listTools()).tools.map((tool) => tool.name);
      const page = read('README.md');
      const named = [...page.matchAll(/`(agent_[a-z_]+)`/g)].map(([, name = '']) => name);
      expect(named.length).toBeGreaterThan(3);
      for (const name of named) expect(names).toContain(name);
    } finally {
      await client.close();
    }
  },
);

test('the library example compiles and prints what its comment says', { timeout: 120_000 }, async () => {
  const root = await folder();
  const example = readme.find((block) => block.lang === 'ts')?.text ?? '';
  await mkdir(join(root, 'node_modules'));
  await symlink(ROOT, join(root, 'node_modules', 'agent-runtime-pack'), 'dir');
  await writeFile(join(root, 'example.mts'), example);
  const options = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules', '@types')],
  };
  const project = { compilerOptions: options, files: ['example.mts'] };
  await writeFile(join(root, 'tsconfig.json'), JSON.stringify(project));
  const compiled = await node(root, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);
  expect(compiled).toEqual({ code: 0, text: '' });
  const ran = await node(join(root, 'work'), [join(root, 'example.mjs')]);
  const said = /console\.log\(.*\); \/\/ (.*)/.exec(example)?.[1] ?? '?';
  expect(ran).toEqual({ code: 0, text: `${said}\n` });
});

test('the lines to change are there, and the decision changes as shown', { timeout: 60_000 }, async () => {
  const shell = await openShell();
  await shell.run('agent-runtime init');
  const steps = readme.filter((block) => block.lang === 'console' || block.info.startsWith('file='));
  expect(steps.map((block) => block.lang)).toEqual(['diff', 'console', 'diff']);
  for (const step of steps) await follow(shell, step);
  expect(await shell.run('agent-runtime config check')).toContain('ok              true');
});

test('the picture of a run is what the demo prints, line by line', { timeout: 120_000 }, async () => {
  const root = await folder();
  const { code, text } = await node(root, [join(ROOT, 'dist', 'cli', 'main.js'), 'demo', '--yes']);
  expect(code).toBe(0);
  const printed = text.split('\n');
  const picture = readme.find((block) => block.lang === 'text')?.text.split('\n') ?? [];
  expect(picture.length).toBeGreaterThan(20);
  let at = 0;
  for (const line of picture.filter((one) => one.trim() !== '')) {
    const found = printed.findIndex((one, index) => index >= at && fits(line).test(one));
    expect(found, `missing after line ${at}: ${line}`).not.toBe(-1);
    at = found + 1;
  }
});
