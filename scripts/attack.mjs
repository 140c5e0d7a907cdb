// Attacks on the door: approved calls changed in every way, and two of everything at one approval, in one process and
// between two. Needs a build (`npm run attack` makes it).
//   npm run -s attack -- --mutations 100000 --races 10000 --process-races 1000 --seed 1 --json
// The last line has the counts. Fails when anything ran that should not have, or less was tried than was asked for.
import { parseArgs } from 'node:util';
import { createLoader } from '../tests/plants/load.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    mutations: { type: 'string', default: '2000' },
    races: { type: 'string', default: '504' },
    'process-races': { type: 'string', default: '52' },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const [mutations, races, processRaces] = [values.mutations, values.races, values['process-races']].map(
  Number,
);
const counts = [mutations, races, processRaces];
if (!Number.isSafeInteger(seed) || !counts.every((one) => Number.isSafeInteger(one) && one >= 0)) {
  console.error('--seed and the counts are numbers');
  process.exit(2);
}

const { attackSummary } = await createLoader()('tests/attack/summary.ts');
const { line, wrong } = await attackSummary({ seed, mutations, races, processRaces });
for (const text of wrong.slice(0, 20)) console.error(text);
console.log(JSON.stringify(line, undefined, values.json ? undefined : 2));
process.exit(wrong.length === 0 ? 0 : 1);
