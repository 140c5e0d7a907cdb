// The gate against an independent reading of its specification: seeded decisions, compared one by one. Needs no build.
//   npm run -s oracle -- --seed 1 --count 1000000 --json    one line with the counts; without --json a table
// Fails when an answer differs, or when a rule, a decision or a pair of layers was met fewer than 500 times in a full run
// (100,000 decisions or more; below, half of that in proportion). What differed stands on standard error.
import { parseArgs } from 'node:util';
import { createLoader } from '../tests/plants/load.mjs';

const FULL = 100_000;
const LEAST = 500;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '20260731' },
    count: { type: 'string', default: String(FULL) },
    json: { type: 'boolean', default: false },
  },
});
const [seed, count] = [Number(values.seed), Number(values.count)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1) {
  console.error('--seed and --count are numbers, and count is at least 1');
  process.exit(2);
}

const { runOracle, isCaught, table, thinCells } = await createLoader()('tests/oracle/compare.ts');
const report = await runOracle({ seed, count });
const least = count >= FULL ? LEAST : Math.floor((LEAST / 2) * (count / FULL));
const thin = thinCells(report, least);
const { disagreements, wrongAllows, othersDiffer, reachDiffers } = report;
for (const text of [...disagreements, ...othersDiffer, ...reachDiffers].slice(0, 5)) console.error(text);
for (const text of thin) console.error(text);
const hits = [...report.rules.values(), ...report.pairs.values()];
const line = {
  suite: 'oracle',
  seed,
  decisions: report.decisions,
  configurations: report.worlds,
  left_out: report.disputed,
  verdicts: Object.fromEntries(report.verdicts),
  rules: Object.fromEntries(report.rules),
  layer_pairs: Object.fromEntries(report.pairs),
  fewest_hits: Math.min(...hits),
  thin: thin.length,
  disagreements: disagreements.length,
  wrong_allows: wrongAllows.length,
  others_differ: othersDiffer.length,
  reach_differs: reachDiffers.length,
};
console.log(values.json ? JSON.stringify(line) : table(report));
process.exit(!isCaught(report) && thin.length === 0 && report.decisions === count ? 0 : 1);
