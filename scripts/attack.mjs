// Attacks on the door: approved calls changed in every way, and two of everything at one approval, in one process and
// between two. Needs a build (`npm run attack` makes it).
//   npm run -s attack -- --mutations 100000 --races 9000 --process-races 1000 --seed 1 --json
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
const asked = [values.mutations, values.races, values['process-races']].map(Number);
const [mutations, races, processRaces] = asked;
if (!Number.isSafeInteger(seed) || !asked.every((one) => Number.isSafeInteger(one) && one >= 0)) {
  console.error('--seed and the counts are numbers');
  process.exit(2);
}
if (asked.every((one) => one === 0)) {
  console.error('nothing to do: every count is 0');
  process.exit(2);
}

const load = createLoader();
const { runBinding } = await load('tests/attack/run-binding.ts');
const { runRaces } = await load('tests/attack/run-races.ts');
const { runProcessRaces } = await load('tests/attack/run-process-races.ts');
const binding = await runBinding({ seed, mutations });
const here = await runRaces({ seed, races });
const between = await runProcessRaces(processRaces);

const wrong = [...binding.escaped, ...here.violations, ...between.violations];
// The approved call itself must have run after each hundred mutations, and at least half of the races must have run it.
if (binding.control !== Math.ceil(mutations / 100)) wrong.push(`${binding.control} approved calls ran`);
for (const run of [here, between]) if (run.effects * 2 < run.races) wrong.push(`${run.effects} effects`);
if ([binding.mutations, here.races, between.races].join() !== asked.join()) wrong.push('less was tried');
for (const text of wrong.slice(0, 20)) console.error(text);
const count = ({ races, kinds, effects, approvals, violations }) => {
  return { races, kinds, effects, approvals, violations: violations.length };
};
const line = {
  suite: 'attack',
  seed,
  mutations: binding.mutations,
  fields: binding.fields,
  escaped: binding.escaped.length,
  approved_calls_run: binding.control,
  races: count(here),
  process_races: count(between),
  wrong: wrong.length,
};
console.log(values.json ? JSON.stringify(line) : JSON.stringify(line, undefined, 2));
process.exit(wrong.length === 0 ? 0 : 1);
