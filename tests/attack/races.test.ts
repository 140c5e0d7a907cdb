// Owns the proof that two of anything at one approval never make two effects. RACES and PROCESS_RACES raise the counts.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { runProcessRaces } from './run-process-races.ts';
import { runRaces } from './run-races.ts';

const RACES = Number(process.env.RACES ?? 504);
const PROCESS_RACES = Number(process.env.PROCESS_RACES ?? 52);

describe('races', () => {
  verifies(
    ['AP-07'],
    'in one process never make more effects than approvals, and one of two consumers runs',
    async () => {
      const run = await runRaces({ seed: 11, races: RACES });
      expect(run.violations).toEqual([]);
      expect(run.races).toBe(RACES);
      expect(Object.keys(run.kinds)).toHaveLength(6);
      expect(run.effects).toBeGreaterThan(RACES / 2);
    },
    Math.max(60_000, RACES * 50),
  );

  verifies(
    { partial: ['AP-04', 'AP-03'] },
    'between two processes on one file neither',
    async () => {
      const run = await runProcessRaces(PROCESS_RACES);
      expect(run.violations).toEqual([]);
      expect(run.races).toBe(PROCESS_RACES);
      expect(Object.keys(run.kinds)).toHaveLength(4);
      expect(run.effects).toBeGreaterThanOrEqual((PROCESS_RACES * 3) / 4);
    },
    Math.max(60_000, PROCESS_RACES * 500),
  );
});
