// Two principals on one HTTP server: seeded operations of each, for itself and with what it learned of the other. Nothing
// that one receives may ever have been the other's. Needs no build.
//   npm run -s isolation -- --operations 100000 --seed 1 --json
// Fails when anything was seen, or when less happened than was asked for.
import { parseArgs } from 'node:util';
import { createLoader } from '../tests/plants/load.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    operations: { type: 'string', default: '5000' },
    json: { type: 'boolean', default: false },
  },
});
const [seed, operations] = [Number(values.seed), Number(values.operations)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(operations) || operations < 1) {
  console.error('--seed and --operations are numbers, and operations is at least 1');
  process.exit(2);
}

const { isolationSummary } = await createLoader()('tests/http/isolation/run-isolation.ts');
const { line, wrong } = await isolationSummary({ seed, operations });
for (const text of wrong.slice(0, 20)) console.error(text);
console.log(JSON.stringify(line, undefined, values.json ? undefined : 2));
process.exit(wrong.length === 0 ? 0 : 1);
