// The long commands as README shows them: each is run briefly, and prints the lines that the page tells to look for.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blocks, quoted, read, ROOT, table } from './read.ts';
import { fits } from './shell.ts';

/** The least of each command that still prints its closing lines. */
const BRIEFLY: Readonly<Record<string, readonly string[]>> = {
  oracle: ['--count', '100'],
  attack: ['--mutations', '40', '--races', '7', '--process-races', '4'],
  faults: ['--kills', '2'],
  matrix: ['clients', '--client', 'v1', '--cells', 'spelling'],
  bench: ['policy-decision', '--quick'],
};

function script(name: string): Promise<{ code: number | null; lines: string[] }> {
  return new Promise((resolve, reject) => {
    const args = [join(ROOT, 'scripts', `${name}.mjs`), ...(BRIEFLY[name] ?? [])];
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, lines: text.split('\n') });
    });
  });
}

const page = blocks(read('README.md')).find((block) => block.info === 'proofs')?.text ?? '';
const parts = page
  .split(/^\$ npm run /m)
  .slice(1)
  .map((part) => {
    const [head = '', ...lines] = part.trimEnd().split('\n');
    return { name: head.split(' ')[0] ?? '', lines };
  });

test('the table and the picture name the same commands, and the package has them', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const listed = table(read('README.md'), 'command').map(
    ([cell = '']) => quoted(cell)[0]?.split(' ')[2] ?? '',
  );
  expect(listed).toEqual(parts.map(({ name }) => name));
  expect(listed).toEqual(Object.keys(BRIEFLY));
  for (const name of listed) expect(scripts[name]).toContain(`node scripts/${name}.mjs`);
});

test.each(parts)('$name prints what the page shows', { timeout: 120_000 }, async ({ name, lines }) => {
  const ran = await script(name);
  expect(ran.code).toBe(0);
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) {
    const shape = fits(line);
    expect(
      ran.lines.some((one) => shape.test(one)),
      line,
    ).toBe(true);
  }
});
