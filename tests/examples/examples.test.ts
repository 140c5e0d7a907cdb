// Owns the proof that every example keeps its promises, run as a reader runs it; what each promises stands in its run.mjs.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LONG = 180_000;

interface Line {
  example: string;
  ok: boolean;
  checks: { check: string; ok: boolean; why?: string }[];
  graphs: string[];
}

async function examples(...args: string[]): Promise<{ code: number | null; lines: Line[]; err: string }> {
  const child = spawn(process.execPath, ['scripts/examples.mjs', '--json', ...args], { cwd: ROOT });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = out.split('\n').filter((line) => line !== '');
  return { code, err, lines: lines.map((line) => JSON.parse(line) as Line) };
}

/** What each of them promised, after every promise was kept. */
async function kept(...names: string[]): Promise<Line[]> {
  const { code, lines } = await examples(...names);
  const broken = lines.flatMap(({ example, checks }) =>
    checks.filter(({ ok }) => !ok).map(({ check, why }) => `${example}: ${check}: ${why ?? ''}`),
  );
  expect(broken).toEqual([]);
  expect(lines.map(({ example, ok }) => [example, ok])).toEqual(names.map((name) => [name, true]));
  expect(code).toBe(0);
  for (const { graphs } of lines) expect(graphs.at(-1)).toMatch(/^flowchart TD\n.*: completed/);
  return lines;
}

const promises = ({ checks }: Line): string[] => checks.map(({ check }) => check);

describe('examples', () => {
  verifies(
    { partial: ['LY-04'] },
    'chaining, routing, parallel work and orchestrated workers; a killed chain and a stopped program go on',
    async () => {
      const lines = await kept('prompt-chaining', 'routing', 'parallelization', 'orchestrator-workers');
      const [chain, route, parallel, workers] = lines.map(promises);
      expect(chain).toContain('the first process died by kill -9');
      expect(chain).toContain('each stage was started once, in its order');
      expect(route).toContain('what was not chosen was never started');
      expect(parallel).toContain('it was given all three votes');
      expect(workers).toContain('the orchestrator was asked once');
    },
    LONG,
  );

  verifies(
    { partial: ['WF-14', 'WF-15'] },
    'started by a v1 client, approved at a terminal, finished by a third process',
    async () => {
      const [line] = await kept('human-review');
      expect(line?.graphs[0]).toContain('ticket: waiting_approval');
      expect(line?.graphs[1]).toContain('ticket: completed');
      expect(promises(line!)).toContain('the ticket was opened once');
    },
    LONG,
  );

  verifies(
    { partial: ['WF-21'] },
    'a critique goes back until it passes, and three sessions join by what they hand over',
    async () => {
      const [evaluated, handed] = await kept('evaluator-optimizer', 'planner-generator-evaluator');
      expect(evaluated?.graphs.at(-1)).toContain('revise_2: skipped');
      expect(promises(handed!)).toContain('the artifact does what the contract demands');
    },
    LONG,
  );

  test('each says what is durable where, and each is named on the page of all', () => {
    const folders = readdirSync(`${ROOT}examples`).filter(
      (name) => name !== 'support' && name !== 'README.md',
    );
    expect(folders).toHaveLength(7);
    const page = readFileSync(`${ROOT}examples/README.md`, 'utf8');
    for (const name of folders) {
      expect(page).toContain(`[${name}](${name})`);
      const text = readFileSync(`${ROOT}examples/${name}/README.md`, 'utf8');
      expect(text, name).toContain(`npm run examples -- ${name}`);
      expect(text, name).toMatch(/^\| it dies +\| durable by then +\| what happens then +\|$/m);
    }
  });

  test('an example that is none is refused before anything runs', async () => {
    const { code, lines, err } = await examples('routing', 'nothing');
    expect({ code, lines }).toEqual({ code: 2, lines: [] });
    expect(err).toContain('no such example: nothing; known: evaluator-optimizer, human-review');
  });

  test('a promise that is not kept, and an example that promises nothing, fail', async () => {
    const { code, lines } = await examples('--from', 'tests/examples/fixtures');
    expect(code).toBe(1);
    expect(lines.map(({ example, ok }) => [example, ok])).toEqual([
      ['broken', false],
      ['empty', false],
      ['thrown', false],
    ]);
    expect(lines[0]?.checks).toEqual([{ check: 'one is two', ok: false, why: '1 instead of 2' }]);
    expect(lines[2]?.checks[0]?.why).toBe('went wrong');
  }, 60_000);
});
