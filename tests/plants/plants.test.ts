// Owns the proof that the suite sees the mistakes that are easily made in the kernel: each is planted in a private copy
// of the sources, in memory, and the oracle, an attack or a check has to fail on that copy.
import { createRequire } from 'node:module';
import { afterAll, describe, expect, test } from 'vitest';
import { RULE_ORDER } from '../../src/kernel/policy/decision.ts';
import type { attackSummary } from '../attack/summary.ts';
import { doorPlants } from './door-plants.ts';
import { gatePlants } from './gate-plants.ts';
import type { Plant } from './plant.ts';

type OracleModule = typeof import('../oracle/summary.ts');
type AttackModule = { attackSummary: typeof attackSummary };
type Load = <T>(path: string, plant?: string) => Promise<T>;
type Compare = typeof import('../oracle/compare.ts');
type Checks = typeof import('../attack/checks.ts');
type RigModule = typeof import('../kernel/rig.ts');
type Binding = typeof import('../attack/run-binding.ts');

const plants: readonly Plant[] = [...gatePlants, ...doorPlants];
const patches = Object.fromEntries(plants.map(({ file, find, put }, at) => [`p${at}`, { file, find, put }]));
// The test runner puts its own loader in the place of `import`; `require` is Node's.
const { createLoader } = createRequire(import.meta.url)('./load.mjs') as {
  createLoader: (patches: object) => Load;
};
const load = createLoader(patches);

const DECISIONS = 20_000;
const SEED = 7;
const caught: string[] = [];

/** What was found; undefined when the bug survived. */
async function attackOn(name: string, plant: string | undefined): Promise<string | undefined> {
  if (name === 'oracle') {
    const { runOracle } = await load<Compare>('tests/oracle/compare.ts', plant);
    const report = await runOracle({ seed: SEED, count: DECISIONS, untilCaught: true });
    const found = report.disagreements[0] ?? report.othersDiffer[0] ?? report.reachDiffers[0];
    if (found === undefined) return undefined;
    const [first = ''] = found.split('\n');
    const [oracle = '', gate = ''] = first.split('; gate ');
    // Found by a comparison, not because a rule stumbled over the bug.
    if (gate.includes('kernel_error') && !oracle.includes('kernel_error')) throw new Error(found);
    return `after ${report.decisions} decisions`;
  }
  if (name === 'binding') {
    const { runBinding } = await load<Binding>('tests/attack/run-binding.ts', plant);
    return (await runBinding({ seed: 3, mutations: 200 })).escaped[0];
  }
  const { everyCheck } = await load<Checks>('tests/attack/checks.ts', plant);
  const { createRig } = await load<RigModule>('tests/kernel/rig.ts', plant);
  const check = everyCheck[name];
  if (check === undefined) throw new Error(`no check ${name}`);
  return check(createRig).then(
    () => undefined,
    (error: unknown) => {
      const { name: kind, message } = error as Error;
      // Found by the check itself, not by the kernel stumbling over the bug.
      if (kind !== 'AssertionError' && kind !== 'Error') throw error;
      return message.split('\n')[0] ?? kind;
    },
  );
}

describe('a planted bug', () => {
  for (const [at, { rule, bug, caughtBy }] of plants.entries()) {
    test(`is caught by ${caughtBy}: ${rule}: ${bug}`, async () => {
      const found = await attackOn(caughtBy, `p${at}`);
      caught.push(`${rule.padEnd(16)} ${bug.padEnd(72)} ${caughtBy}, ${found ?? 'SURVIVED'}`);
      expect(found, 'the bug survived').toBeDefined();
    });
  }

  afterAll(() => {
    console.log(['rule             planted bug'.padEnd(90) + 'caught by', ...caught].join('\n'));
  });

  test('has a rule of the gate for each rule of the gate', () => {
    const broken = new Set(plants.map(({ rule }) => rule));
    expect(RULE_ORDER.filter((rule) => rule !== 'kernel_error' && !broken.has(rule))).toEqual([]);
  });
});

test('without a plant nothing is found', async () => {
  for (const name of new Set(plants.map(({ caughtBy }) => caughtBy)).keys()) {
    expect([name, await attackOn(name, undefined)]).toEqual([name, undefined]);
  }
});

describe('the commands judge as the tests do', () => {
  const planted = (bug: string): string => `p${plants.findIndex((plant) => plant.bug === bug)}`;

  test('the oracle: an answer that differs is a bad run, and so is a rule that was hardly met', async () => {
    const path = 'tests/oracle/summary.ts';
    const good = await (await load<OracleModule>(path)).oracleSummary({ seed: SEED, count: 3000 });
    expect(good.wrong).toEqual([]);
    expect(good.line).toMatchObject({ suite: 'oracle', seed: SEED, decisions: 3000, wrong_allows: 0 });
    const plant = planted('one unit too many (> for >=)');
    const bad = await (await load<OracleModule>(path, plant)).oracleSummary({ seed: SEED, count: 3000 });
    expect(bad.wrong).not.toEqual([]);
    const few = await (await load<OracleModule>(path)).oracleSummary({ seed: SEED, count: 600 });
    expect(few.wrong.join()).toContain('fewer than');
  });

  test('the attack: a call that ran is a bad run, and so is no work', async () => {
    const path = 'tests/attack/summary.ts';
    const some = { seed: 3, mutations: 200, races: 36, processRaces: 0 };
    const none = { seed: 3, mutations: 0, races: 0, processRaces: 0 };
    const sound = await load<AttackModule>(path);
    expect((await sound.attackSummary(some)).wrong).toEqual([]);
    expect((await sound.attackSummary(none)).wrong).toEqual(['nothing was tried']);
    const broken = await load<AttackModule>(path, planted('an approval is not bound to the arguments'));
    expect((await broken.attackSummary(some)).wrong).not.toEqual([]);
  });
});
