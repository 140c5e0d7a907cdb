// Kills a working runtime again and again and counts what it lost or did twice. Needs a build (`npm run faults` makes it).
//   npm run faults -- --seed 1 --kills 200 --store sqlite --json
//   npm run faults -- --plant no-start-receipt     the same with a planted bug; it must fail
// The last line has the counts; kills that are in none of its six windows came at random times. What went wrong stands
// on standard error.
import { parseArgs } from 'node:util';
import { runCampaign } from '../tests/faults/campaign.mjs';
import { PLANTS } from '../tests/faults/saboteur.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '200' },
    store: { type: 'string', default: 'sqlite' },
    plant: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const [seed, kills] = [Number(values.seed), Number(values.kills)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(kills) || kills < 1)
  refuse('--seed and --kills are numbers');
if (values.store !== 'sqlite') refuse('--store: only sqlite outlives a process');
if (values.plant !== '' && !values.plant.split(',').every((name) => Object.hasOwn(PLANTS, name)))
  refuse(`--plant: a list of ${Object.keys(PLANTS).join(', ')}`);

const { line, ok, other } = await runCampaign({
  seed,
  kills,
  plant: values.plant,
  log: (text) => console.error(text),
});
if (other > 0) console.error(`${other} other broken promises, see above`);
console.log(values.json ? JSON.stringify(line) : JSON.stringify(line, undefined, 2));
process.exit(ok ? 0 : 1);

function refuse(why) {
  console.error(why);
  process.exit(2);
}
