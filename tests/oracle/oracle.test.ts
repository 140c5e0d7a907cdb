// The gate against an independent reading of the specification: a hundred thousand seeded decisions.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { runOracle, table, thinCells } from './compare.ts';

const SEED = 20_260_731;
const COUNT = 100_000;
const LEAST = 500;

verifies(
  { partial: ['PO-13', 'PO-05'] },
  'the gate decides as the specification says, in every rule, layer pair and decision',
  async () => {
    const report = await runOracle({ seed: SEED, count: COUNT });
    console.log(table(report));
    expect(report.wrongAllows.slice(0, 3)).toEqual([]);
    expect(report.disagreements.slice(0, 5)).toEqual([]);
    expect(report.othersDiffer.slice(0, 5)).toEqual([]);
    expect(report.reachDiffers.slice(0, 5)).toEqual([]);
    expect(thinCells(report, LEAST)).toEqual([]);
  },
  120_000,
);
