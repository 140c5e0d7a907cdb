// Owns the proof that sudden ends cost nothing: a seeded slice of the fault suite, and that the suite finds planted bugs.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/faults.mjs', import.meta.url));
const LONG = 120_000;

interface Line {
  suite: string;
  store: string;
  seed: number;
  kills: number;
  windows: Record<string, number>;
  lost: number;
  doubled: number;
  double_approvals: number;
  unknown: number;
}

interface Run {
  code: number | null;
  line: Line;
  complaints: string[];
}

async function faults(...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [SCRIPT, '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = out.trim().split('\n');
  expect(lines, err).toHaveLength(1);
  return {
    code,
    line: JSON.parse(lines[0] ?? '') as Line,
    complaints: err.split('\n').filter((line) => line !== ''),
  };
}

let slice: Promise<Run> | undefined;
function theSlice(): Promise<Run> {
  return (slice ??= faults('--seed', '7', '--kills', '24'));
}

describe('24 kills over all windows and at random times', () => {
  verifies(
    ['EV-01'],
    'lose nothing acknowledged, and no effect is without its start receipt',
    async () => {
      const { code, line, complaints } = await theSlice();
      expect(complaints).toEqual([]);
      expect(line).toMatchObject({ suite: 'faults', store: 'sqlite', seed: 7, kills: 24, lost: 0 });
      expect(Object.keys(line.windows)).toEqual([
        'before_start_receipt',
        'start_written',
        'in_effect',
        'effect_done',
        'outcome_written',
        'approval_spent',
      ]);
      for (const count of Object.values(line.windows)) expect(count).toBeGreaterThanOrEqual(3);
      expect(code).toBe(0);
    },
    LONG,
  );

  verifies(
    { partial: ['RF-13', 'RF-17', 'IN-09'] },
    'leave no effect doubled, no approval spent twice and no unknown unsaid; a live process keeps its call',
    async () => {
      const { line, complaints } = await theSlice();
      expect(complaints).toEqual([]);
      expect(line).toMatchObject({ doubled: 0, double_approvals: 0 });
      // Every kill in four of the windows leaves one.
      const { start_written, in_effect, effect_done, approval_spent } = line.windows;
      const least = [start_written, in_effect, effect_done, approval_spent].map((count) => count ?? NaN);
      expect(line.unknown).toBeGreaterThanOrEqual(least.reduce((sum, count) => sum + count, 0));
    },
    LONG,
  );
});

describe.concurrent('a planted bug makes the suite fail', () => {
  const plants: [plant: string, counts: (line: Line) => number][] = [
    ['no-start-receipt', (line) => line.doubled],
    ['early-outcome', (line) => line.lost],
    ['unspent-approval', (line) => line.double_approvals],
    ['rerun-unknown', (line) => line.doubled],
  ];
  test.each(plants)(
    '%s',
    async (plant, counts) => {
      const { code, line, complaints } = await faults('--kills', '6', '--plant', plant);
      expect(code).toBe(1);
      expect(counts(line)).toBeGreaterThan(0);
      expect(complaints.join('\n')).toContain('VIOLATION');
    },
    LONG,
  );

  test(
    'blind-to-peers',
    async () => {
      const { code, complaints } = await faults('--kills', '6', '--plant', 'blind-to-peers');
      expect(code).toBe(1);
      expect(complaints.join('\n')).toContain('a live process has it');
    },
    LONG,
  );
});

test('too few kills in all, or in one window, are not a run', async () => {
  const path = new URL('./schedule.mjs', import.meta.url).href;
  const { shortfall, WINDOWS } = (await import(path)) as {
    shortfall: (kills: number, happened: number, windows: Record<string, number>) => string | undefined;
    WINDOWS: string[];
  };
  const even = Object.fromEntries(WINDOWS.map((window) => [window, 20]));
  expect(shortfall(120, 120, even)).toBeUndefined();
  expect(shortfall(120, 119, even)).toContain('119 kills');
  expect(shortfall(200, 200, { ...even, in_effect: 19 })).toContain('in_effect');
  expect(shortfall(24, 24, {})).toBeUndefined();
});
