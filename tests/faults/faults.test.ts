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
    { partial: ['RF-17', 'IN-09'] },
    'leave no effect doubled, no approval spent twice and no unknown unsaid; a live process keeps its call',
    async () => {
      const { line, complaints } = await theSlice();
      expect(complaints).toEqual([]);
      expect(line).toMatchObject({ doubled: 0, double_approvals: 0 });
      // Every kill in four of the windows leaves one.
      const leaving = ['start_written', 'in_effect', 'effect_done', 'approval_spent'];
      const least = leaving.map((window) => line.windows[window] ?? NaN).reduce((sum, one) => sum + one, 0);
      expect(line.unknown).toBeGreaterThanOrEqual(least);
    },
    LONG,
  );
});

// Two bugs share a run where each shows in a finding that the other cannot cause.
const planted = new Map<string, Promise<Run>>();
function withPlants(plants: string): Promise<Run> {
  const run = planted.get(plants) ?? faults('--kills', '6', '--plant', plants);
  planted.set(plants, run);
  return run;
}

describe.concurrent('a planted bug makes the suite fail', () => {
  const plants: [plant: string, among: string, finds: (run: Run) => boolean][] = [
    ['no-start-receipt', 'no-start-receipt', ({ line }) => line.doubled > 0],
    ['early-outcome', 'early-outcome,blind-to-peers', ({ line }) => line.lost > 0],
    ['unspent-approval', 'unspent-approval,rerun-unknown', ({ line }) => line.double_approvals > 0],
    ['rerun-unknown', 'unspent-approval,rerun-unknown', ({ line }) => line.doubled > 0],
    [
      'blind-to-peers',
      'early-outcome,blind-to-peers',
      ({ complaints }) => complaints.some((one) => one.includes('a live process has it')),
    ],
  ];
  test.each(plants)(
    '%s',
    async (_plant, among, finds) => {
      const run = await withPlants(among);
      expect(run.code).toBe(1);
      expect(finds(run), run.complaints.join('\n')).toBe(true);
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
