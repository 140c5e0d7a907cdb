// Owns the proof that workflows outlive their processes: a seeded slice of the suites of workflows and of resumes, and that
// both find planted bugs.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/faults.mjs', import.meta.url));
const LONG = 240_000;
const NOTHING = { lost: 0, doubled: 0, early: 0, double_wakeups: 0, stuck: 0, double_approvals: 0 };

interface Run {
  code: number | null;
  line: Record<string, unknown>;
  complaints: string;
}

async function faults(...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [SCRIPT, '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = out.trim().split('\n');
  expect(lines, complaints).toHaveLength(1);
  return { code, line: JSON.parse(lines[0] ?? '') as Run['line'], complaints };
}

const WINDOWS = [
  'node_started',
  'turn_recorded',
  'in_effect',
  'effect_done',
  'node_finished',
  'join_ready',
  'timer_due',
  'approval_answered',
  'approval_spent',
  'invocation_ended',
  'workflow_ended',
  'queue_moved',
];

verifies(
  { partial: ['WF-19', 'WF-22', 'QB-08'] },
  'workflows whose processes are killed in every window come to the same end: nothing lost, doubled, early or stuck',
  async () => {
    const { code, line, complaints } = await faults('--suite', 'workflows', '--seed', '7', '--kills', '14');
    expect(complaints).toBe('');
    expect(line).toMatchObject({ suite: 'workflows', store: 'sqlite', seed: 7, ...NOTHING });
    expect(line.kills).toBeGreaterThanOrEqual(14);
    expect(Object.keys(line.windows as object)).toEqual([...WINDOWS, 'random']);
    expect(line.unknown).toBeGreaterThan(0);
    expect(code).toBe(0);
  },
  LONG,
);

verifies(
  { partial: ['WF-19', 'QB-04'] },
  'of two processes that resume one session one goes on, and the other gets the typed conflict',
  async () => {
    const { code, line, complaints } = await faults('--suite', 'resumes', '--seed', '7', '--races', '40');
    expect(complaints).toBe('');
    expect(line).toMatchObject({ suite: 'resumes', races: 40, refused: 40, lost: 0, doubled: 0, both_in: 0 });
    const [one = 0, other = 0] = line.won as number[];
    expect(one + other).toBe(40);
    expect(Math.min(one, other)).toBeGreaterThan(0);
    expect(code).toBe(0);
  },
  LONG,
);

// Two bugs share a run where each shows in a finding that the other cannot cause.
const planted = new Map<string, Promise<Run>>();
function withPlants(plants: string): Promise<Run> {
  const run = planted.get(plants) ?? faults('--suite', 'workflows', '--kills', '4', '--plant', plants);
  planted.set(plants, run);
  return run;
}

describe.concurrent('a planted bug makes the suite fail', () => {
  test.each([
    ['dropped-input', 'dropped-input,early-wakeup', 'lost'],
    ['early-wakeup', 'dropped-input,early-wakeup', 'early'],
    ['no-start-receipt', 'no-start-receipt', 'doubled'],
    ['lost-wakeup', 'lost-wakeup', 'stuck'],
  ])(
    '%s',
    async (_plant, among, finding) => {
      const { code, line, complaints } = await withPlants(among);
      expect(code).toBe(1);
      expect(line[finding], complaints).toBeGreaterThan(0);
    },
    LONG,
  );

  // One race in three hides it: the second process is then refused by the number of its step.
  test(
    'no-hold',
    async () => {
      const { code } = await faults('--suite', 'resumes', '--races', '40', '--plant', 'no-hold');
      expect(code).toBe(1);
    },
    LONG,
  );
});

test('too few kills in all, or in one window, are not a run', async () => {
  const path = new URL('./workflows/schedule.mjs', import.meta.url).href;
  const { shortfall } = (await import(path)) as {
    shortfall: (kills: number, happened: number, windows: Record<string, number>) => string | undefined;
  };
  const even = Object.fromEntries(WINDOWS.map((window) => [window, 20]));
  expect(shortfall(240, 240, even)).toBeUndefined();
  expect(shortfall(240, 239, even)).toContain('239 kills');
  expect(shortfall(1000, 1000, { ...even, join_ready: 19 })).toContain('join_ready');
});
