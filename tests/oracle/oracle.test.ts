// The gate against an independent reading of the specification: a hundred thousand seeded decisions.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { oracleSummary } from './summary.ts';

const SEED = 20_260_731;
const COUNT = 100_000;

verifies(
  { partial: ['PO-13', 'PO-05'] },
  'the gate decides as the specification says, in every rule, layer pair and decision',
  async () => {
    const { line, table, wrong } = await oracleSummary({ seed: SEED, count: COUNT });
    console.log(table);
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(line).toMatchObject({ decisions: COUNT, wrong_allows: 0 });
  },
  120_000,
);
