// Kills a working runtime again and again and counts what it lost or did twice. Needs a build (`npm run faults` makes it).
//   npm run faults -- --seed 1 --kills 200 --store sqlite --json
//   npm run faults -- --suite workflows --kills 1000       workflows with branches, people, times and retries
//   npm run faults -- --suite resumes --races 1000         two processes resume the same session at the same time
//   npm run faults -- --suite hosts --kills 1000           serving hosts with three servers each; no child may be left
//   npm run faults -- --plant no-start-receipt             the same with a planted bug; it must fail
// The last line has the counts; kills that are in no named window came at random times. What went wrong stands on
// standard error.
import { parseArgs } from 'node:util';

const SUITES = {
  kernel: async () => {
    const { runCampaign } = await import('../tests/faults/campaign.mjs');
    const { PLANTS } = await import('../tests/faults/saboteur.mjs');
    return { run: runCampaign, plants: Object.keys(PLANTS) };
  },
  workflows: async () => {
    const { runWorkflows } = await import('../tests/faults/workflows/campaign.mjs');
    const { PLANTS } = await import('../tests/faults/workflows/saboteur.mjs');
    return { run: runWorkflows, plants: Object.keys(PLANTS) };
  },
  resumes: async () => {
    const { runResumes, PLANTS } = await import('../tests/faults/resumes/campaign.mjs');
    return { run: runResumes, plants: Object.keys(PLANTS) };
  },
  hosts: async () => {
    const { runHosts, PLANTS } = await import('../tests/faults/hosts/campaign.mjs');
    return { run: runHosts, plants: Object.keys(PLANTS) };
  },
};

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'kernel' },
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '200' },
    races: { type: 'string', default: '1000' },
    store: { type: 'string', default: 'sqlite' },
    plant: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const [seed, kills, races] = [Number(values.seed), Number(values.kills), Number(values.races)];
const isCount = (count) => Number.isSafeInteger(count) && count >= 1;
if (!Number.isSafeInteger(seed) || !isCount(kills) || !isCount(races))
  refuse('--seed, --kills and --races are numbers');
if (values.store !== 'sqlite') refuse('--store: only sqlite outlives a process');
if (!Object.hasOwn(SUITES, values.suite)) refuse(`--suite: one of ${Object.keys(SUITES).join(', ')}`);

const { run, plants } = await SUITES[values.suite]();
if (values.plant !== '' && !values.plant.split(',').every((name) => plants.includes(name)))
  refuse(`--plant: a list of ${plants.join(', ')}`);

const log = (text) => console.error(text);
const { line, ok, other } = await run({ seed, kills, races, plant: values.plant, log });
if (other > 0) console.error(`${other} other broken promises, see above`);
console.log(values.json ? JSON.stringify(line) : JSON.stringify(line, undefined, 2));
process.exit(ok ? 0 : 1);

function refuse(why) {
  console.error(why);
  process.exit(2);
}
