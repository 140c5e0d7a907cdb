// Owns the proof that no child outlives a host that is killed: a slice of the suite, and that the suite sees one that does.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/faults.mjs', import.meta.url));
const LONG = 300_000;

async function hosts(...args: string[]): Promise<{ code: number | null; line: object; err: string }> {
  const child = spawn(process.execPath, [SCRIPT, '--suite', 'hosts', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, line: JSON.parse(out) as object, err };
}

test(
  'twenty hosts are killed while they start, work, ask and rest, and no child is left',
  async () => {
    const { code, line, err } = await hosts('--kills', '20', '--seed', '3');
    expect(err).toBe('');
    const windows = { starting: 5, in_call: 5, in_question: 5, at_rest: 5 };
    expect(line).toMatchObject({ kills: 20, windows, left: 0 });
    expect(code).toBe(0);
  },
  LONG,
);

test(
  'a server whose own child stays is counted',
  async () => {
    const { code, line } = await hosts('--kills', '2', '--plant', 'lingers');
    expect(line).toMatchObject({ kills: 2 });
    expect((line as { left: number }).left).toBeGreaterThan(0);
    expect(code).toBe(1);
  },
  LONG,
);
