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
    // TEMP
    const g = new Map<string, [number, string]>();
    for (const d of [...report.disagreements, ...report.othersDiffer]) {
      const k = (d.split('\n')[0] ?? '').replace(/\[.*?\]/g, '');
      const e = g.get(k) ?? [0, d];
      if (d.length < e[1].length) e[1] = d;
      e[0]++;
      g.set(k, e);
    }
    for (const [k, [n, d]] of g) console.log('GROUP', n, k, '\n', d);
    expect(report.wrongAllows.slice(0, 3)).toEqual([]);
    expect(report.disagreements.slice(0, 5)).toEqual([]);
    expect(report.othersDiffer.slice(0, 5)).toEqual([]);
    expect(thinCells(report, LEAST)).toEqual([]);
  },
  60_000,
);
