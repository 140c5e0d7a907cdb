// Owns the closing words of an oracle run: one line of counts, and whether it was a good run.
import { runOracle, table, thinCells, type OracleReport } from './compare.ts';

/** A run of so many decisions has to meet every rule, decision and pair of layers so often; a shorter one less often. */
const FULL = 100_000;
const LEAST = 500;

export interface OracleSummary {
  line: Record<string, unknown>;
  table: string;
  /** What is wrong with the run; empty for a good one. */
  wrong: string[];
}

function leastHits(count: number): number {
  return count >= FULL ? LEAST : Math.floor((LEAST / 2) * (count / FULL));
}

function lineOf(report: OracleReport, thin: number): Record<string, unknown> {
  const { rules, pairs, disagreements, wrongAllows, othersDiffer, reachDiffers } = report;
  return {
    suite: 'oracle',
    seed: report.seed,
    decisions: report.decisions,
    configurations: report.worlds,
    left_out: report.disputed,
    verdicts: Object.fromEntries(report.verdicts),
    rules: Object.fromEntries(rules),
    layer_pairs: Object.fromEntries(pairs),
    fewest_hits: Math.min(...rules.values(), ...pairs.values()),
    thin,
    disagreements: disagreements.length,
    wrong_allows: wrongAllows.length,
    others_differ: othersDiffer.length,
    reach_differs: reachDiffers.length,
  };
}

/** Runs that many decisions of the seed and judges the run. */
export async function oracleSummary(asked: { seed: number; count: number }): Promise<OracleSummary> {
  const report = await runOracle(asked);
  const thin = thinCells(report, leastHits(asked.count));
  const wrong = [...report.disagreements, ...report.othersDiffer, ...report.reachDiffers, ...thin];
  if (report.decisions !== asked.count || asked.count < 1) wrong.push(`${report.decisions} decisions`);
  return { line: lineOf(report, thin.length), table: table(report), wrong };
}
