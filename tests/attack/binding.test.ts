// Owns the proof that an approval runs exactly what was approved. MUTATIONS raises the count, up to 100,000 and beyond.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { runBinding } from './run-binding.ts';

const MUTATIONS = Number(process.env.MUTATIONS ?? 2000);

describe('binding', () => {
  verifies(
    ['AP-12'],
    'no mutation of the bound tuple ever runs on the approval, and the approved call does',
    async () => {
      const run = await runBinding({ seed: 20_260_101, mutations: MUTATIONS });
      expect(run.escaped).toEqual([]);
      expect(run.mutations).toBe(MUTATIONS);
      expect(run.control).toBe(Math.ceil(MUTATIONS / 100));
      expect(Object.keys(run.fields)).toHaveLength(16);
    },
    Math.max(60_000, MUTATIONS * 20),
  );
});
