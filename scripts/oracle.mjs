// The gate against an independent reading of its specification: seeded decisions, compared one by one. Needs no build.
//   npm run -s oracle -- --seed 1 --count 1000000 --json    one line with the counts; without --json a table
// Fails when an answer differs, or when a rule, a decision or a pair of layers was met fewer than 500 times in a full run
// (100,000 decisions or more; below, half of that in proportion). What went wrong stands on standard error.
import { parseArgs } from 'node:util';
import { createLoader } from '../tests/plants/load.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '20260731' },
    count: { type: 'string', default: '100000' },
    json: { type: 'boolean', default: false },
  },
});
const [seed, count] = [Number(values.seed), Number(values.count)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1) {
  console.error('--seed and --count are numbers, and count is at least 1');
  process.exit(2);
}

const { oracleSummary } = await createLoader()('tests/oracle/summary.ts');
const { line, table, wrong } = await oracleSummary({ seed, count });
for (const text of wrong.slice(0, 10)) console.error(text);
console.log(values.json ? JSON.stringify(line) : table);
process.exit(wrong.length === 0 ? 0 : 1);
