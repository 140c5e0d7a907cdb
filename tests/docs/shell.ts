// The reader who types what a page shows: a folder of one's own, the built command on the path, and each block in turn.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { ROOT } from './read.ts';
import type { Block } from './read.ts';

export interface Shell {
  folder: string;
  /** Standard output; after a failure the exit code and standard error instead. */
  run(line: string): Promise<string>;
}

/** The command as the page types it, in a folder of its own. */
export async function openShell(): Promise<Shell> {
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
export function fits(expected: string): RegExp {
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

/** Does what one block says: writes its file, applies its diff, or types its command and compares what it prints. */
export async function follow(shell: Shell, block: Block): Promise<void> {
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
